"""MODEL_CARD.md, written from the figures of the run."""

from common import PACK_FOLDER

CARD = """# latentchat default pack

Answers questions about photos and short videos from small latents: 256 numbers a frame, 5 visual tokens each.

| part | what | trained here |
|---|---|---|
| vision tower | EfficientNet-Lite2 (ImageNet), batch norms folded, float16 + 8-bit residual | no |
| latent map | PCA of 5 x 1280 pooled features to 256 numbers, of 6,000 photos plain and mirrored | fitted |
| projector | 256 -> 5 x 576: a linear path plus one hidden layer of 1,024 (GELU) | yes |
| language model | SmolLM2-135M-Instruct, 4-bit blocks of 32 (GGUF Q4_1, bit for bit), 8-bit embedding | no |
| retrieval towers | a caption's hidden states of layers 8, 14 and 20, and a latent, to unit vectors of one space | yes |
| adapter | rank 32 beside each of the four fused linear layers of the 30 blocks | yes |

## Data

Flickr8k (Hodosh, Young and Hockenmaier 2013): 6,000 training photos with five human captions each; 1,000 dev photos for the
figures below. The photos are their owners'; research use. No photo and no caption is in this pack. Captions become sentences;
rules make simple questions of their words (is there a ..., what color, how many, who, what is ... doing, where:
`recipe/questions.py`); clips of 2 to 8 frames are put together from one photo or from two in a row, so **the model has never
seen a real video in training**. {chat}

## Training

`python weights/recipe/recipe.py --data FOLDER --work FOLDER`. {minutes} minutes on two CPU cores that other work shared,
{steps} steps of about 2,000 tokens, about {passes} passes over the photos. The base stays frozen; one photo's captions and questions
share its prefix (token trees), the loss is on answer tokens only. AdamW, rate 8e-4 for adapter and projector, 3% warm-up,
cosine over wall-clock time. A photo is seen plain, mirrored, and as two random crops, with noise of 0.15 deviations on its latents; a tenth of the adapter's
ranks and of the projector's hidden units is left out of each step. Latents carry uniform noise of half a step of a 4-bit grid, which stands for their rounding in
a container. {notes}

Python (PyTorch, bfloat16) does the training: {step_time}

## Measured

{figures}

## Limits

- A small model of one kind of photo: people, dogs, sports and outdoor scenes of Flickr. Anything else is named with the
  nearest thing it knows. It often gets colours, counts and small objects wrong, and it sounds equally sure when it does.
- It cannot read text, name people or places, judge distances, or follow motion finer than the difference between frames.
- English only. Questions unlike the trained ones may be answered with a caption.
- Do not use it where a wrong answer does harm.
"""


def figures(measured):
    """A table of the figures that were taken, and how."""
    training, rows = measured["training"], []
    rows.append((f"loss a caption token, {training.get('dev_photos', 120)} dev photos, rounded latents", training["dev_loss"]))
    rows.append(("the same with another photo's latents", training["dev_loss_with_other_photos"]))
    if product := measured.get("product"):
        about = f"{product['photos']} dev photos, beam {product['beams']}, latents read back from containers, 8-bit engine"
        names = {"bleu4": "BLEU-4", "cider_d": "CIDEr-D", "rouge_l": "ROUGE-L", "bleu1": "BLEU-1"}
        rows += [(f"{label}: {about} (`latentchat evaluate captions dev.tsv --rows latents`)", product[name]) for name, label in names.items()]
    if float32 := measured.get("float32"):
        rows.append((f"CIDEr-D, first {float32['photos']} dev photos, greedy, float32", float32["cider"]))
        rows.append(("BLEU-4, the same", float32["bleu4"]))
        for kind in ("yes or no", "color"):
            asked = float32[f"{kind} questions"]
            rows.append((f"{kind} questions made by rules, {asked['asked']} of dev photos, answered right", f"{asked['right']:.0%}"))
    if retrieval := measured.get("retrieval"):
        for name, label in (("text_to_photo", "text to photo"), ("photo_to_text", "photo to text")):
            found = " / ".join(f"{retrieval[name][key]:.1f}" for key in ("r1", "r5", "r10"))
            rows.append((f"retrieval among {retrieval['photos']} dev photos, {label}: R@1 / R@5 / R@10, float32, latents rounded as in a container", found))
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def write_card(measured):
    """Write MODEL_CARD.md from the figures of pack.json's `measured`."""
    training = measured["training"]
    text = CARD.format(
        chat=training.get("chat", "Text-only prompts, answered by the unchanged model, are mixed in (`recipe/chat.py`)."),
        notes=training.get("notes", ""), step_time=training.get("step_time", "1.96 s for a whole step of 2,096 tokens on two idle cores against 3.43 s in ONNX Runtime from our own graph (float32), 1.75 times as long (`npm run bench -- adapter-training`)."),
        minutes=training["minutes"], steps=training["steps"], passes=training["passes"], figures=figures(measured))
    (PACK_FOLDER / "MODEL_CARD.md").write_text(text.replace(". \n", ".\n"), encoding="utf-8")
