"""Last step: MODEL_CARD.md and pack.json, written from the figures of the run and of the product's own evaluation.

Read from the work folder, each where it is there: training.json and refinements.json of the trainings; product.json of
`latentchat evaluate captions dev.tsv --rows latents --report product.json`; pack-report.json of `latentchat evaluate pack
--data FOLDER --videos FOLDER --report pack-report.json`. What is not there stays as the pack has it.
"""

import json

from common import PACK_FOLDER, log
from pack import told_by, write_manifest
from train import LATER_SHARE

REFINEMENTS = "refinements.json"  # [{"step": "selfcritical" or "widen", ...what it tells of itself}], as the weights went through them
SIZE_LIMIT, FILE_LIMIT = 150e6, 45e6  # bytes

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
{data}
**The model has never seen a real video in training.** {chat}

## Training

`python weights/recipe/recipe.py --data FOLDER --work FOLDER`. {minutes} minutes on two CPU cores that other work shared,
{steps} steps of about 2,000 tokens, about {passes} passes over the photos. The base stays frozen; one photo's captions and questions
share its prefix (token trees), the loss is on answer tokens only. AdamW, rate 8e-4 for adapter and projector, 3% warm-up,
cosine over wall-clock time. A photo is seen plain, mirrored, and as two random crops, with noise of 0.15 deviations on its latents; a tenth of the adapter's
ranks and of the projector's hidden units is left out of each step. Latents carry uniform noise of half a step of a 4-bit grid, which stands for their rounding in
a container. {mixed}{notes}

{refined}Python (PyTorch) does the training: {step_time}

## Measured

{figures}
{videos}
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
        about = f"{product['photos']} dev photos, beam {product['beams']}, of what it finds the one most like the photo, latents read back from containers, 8-bit engine"
        names = {"bleu4": "BLEU-4", "cider_d": "CIDEr-D", "rouge_l": "ROUGE-L", "bleu1": "BLEU-1"}
        rows += [(f"{label}: {about} (`latentchat evaluate captions dev.tsv --rows latents`)", product[name]) for name, label in names.items()]
    if float32 := measured.get("float32"):
        rows.append((f"CIDEr-D, first {float32['photos']} dev photos, greedy, float32", float32["cider"]))
        rows.append(("BLEU-4, the same", float32["bleu4"]))
        for kind in ("yes/no", "color"):
            asked = float32[f"{kind} questions"]
            rows.append((f"{kind} questions made by rules, {asked['asked']} of dev photos, answered right", f"{asked['right']:.0%}"))
    if retrieval := measured.get("retrieval"):
        for name, label in (("text_to_photo", "text to photo"), ("photo_to_text", "photo to text")):
            found = " / ".join(f"{retrieval[name][key]:.1f}" for key in ("r1", "r5", "r10"))
            rows.append((f"retrieval among {retrieval['photos']} dev photos, {label}: R@1 / R@5 / R@10, float32, latents rounded as in a container", found))
        if areas := retrieval.get("areas"):
            rows.append(("things by their names, and noun phrases of captions, against the same photos: mean area under the curve", f"{areas['things']:.3f}, {areas['phrases']:.3f}"))
            if "classes" in areas:
                rows.append(("names and definitions of the vision tower's classes, against photos in which its head sees them: the same", f"{areas['classes']:.3f}"))
        if read := retrieval.get("class_scores"):
            rows.append(("the head's 1,000 scores read from the latents by a linear map: share of their variance; photos whose likeliest class is the same", f"{read['variance']:.3f}; {read['same']:.3f}, {read['same_where_sure']:.3f} of those {read['sure']} where the head is sure"))
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def selfcritical_text(run):
    """A paragraph about a self-critical training."""
    scores = run["dev_cider_greedy"]
    return (f"Then {run['minutes']} minutes of self-critical training (Rennie et al. 2017, with the baseline of Luo 2020; `recipe/selfcritical.py`): "
            f"{run['steps']} steps, {run['passes']} passes, {run['samples']} captions sampled a photo, CIDEr-D as the reward, rate {run['rate']:g}; greedy CIDEr-D "
            f"of {scores['photos']} dev photos went from {scores['before']} to {scores['after']}. ")


def widened_text(run):
    """A paragraph about a training with stand-ins."""
    about = f"up to {run['questions']} questions about each photo, " if "questions" in run else "questions, "
    return (f"Then {run['minutes']} minutes for words that the photos' captions lack (`recipe/widen.py`): {run['steps']} steps, {run['passes']} passes. Captions of "
            f"{run['clips']:,} clips (MSVD, Chen and Dolan 2011) and the names of the 1,000 classes of the vision tower's head, of neither of which a picture was at hand, "
            "are seen through latents guessed from their words and from the head's weights (`recipe/standins.py`, `recipe/classes.py`); "
            f"{about}dialogues, clips of photos and text-only prompts beside them, and the photos' captions as the model itself wrote them before. ")


def weighed(run):
    """What of a training went on, and what is to be said of it beside (its "notes")."""
    weight = run.get("weight", 1)
    kept = "The weights after it went on." if weight == 1 else f"A mean of the weights after and before it went on, {weight:.0%} of it those after."
    return f"{kept} {run.get('notes', '')}".rstrip()


REFINEMENT_TEXTS = {"selfcritical": selfcritical_text, "widen": widened_text}


def mixed_text(training):
    """What the weights are a mean of, or nothing."""
    if "later_weight" not in training:
        return ""
    # Of a trained.pt alone it is not known how it was trained.
    earlier = " ({minutes} minutes, {steps} steps, about {passes} passes)".format(**training["earlier"]) if training["earlier"] else ""
    return (f"That run went on from an earlier one's weights{earlier} at {LATER_SHARE:g} of the rate, and the pack holds a mean of both, "
            f"{training['later_weight']:.0%} of it the later. ")


def retrieval_text(retrieval):
    """What the retrieval towers have learned from, or nothing."""
    return "" if retrieval is None else f"The retrieval towers were trained contrastively (`recipe/retrieval.py`) on {retrieval['trained_on']}."


def pack_rows(report):
    """The table of `latentchat evaluate pack`."""
    def shown(value):
        return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.3f}"

    lines = [f"| {row['what']} ({row['count']}) | {shown(row['value'])} | {shown(row['blind'])} | {row['reach'] or '-'} |" for row in report["rows"]]
    limit = f" --limit {report['limit']}" if "limit" in report else ""
    return "\n".join(["", "", f"`latentchat evaluate pack --data FOLDER{limit}`:", "", "| what (items) | figure | no video | to reach |", "|---|---|---|---|", *lines])


def videos_text(report):
    """What the pack says about real videos, unedited."""
    questions = report["video_questions"]
    rows = [f"| {said['video']} | {said['caption']} | {' | '.join(said['answers'])} |" for said in report["videos"]]
    return "\n".join(["", "## What it says about real videos", "", "Unedited, good and bad (`latentchat evaluate pack --videos FOLDER`); captions as `latentchat caption` writes them, answers word by word.", "",
                      f"| video | caption | {' | '.join(questions)} |", f"|---|---|{'---|' * len(questions)}", *rows, ""])


def write_card(measured):
    """Write MODEL_CARD.md from the figures of pack.json's `measured`."""
    training, pack = measured["training"], measured.get("pack", {})
    text = CARD.format(
        data=training["data"],
        chat=training.get("chat", "Text-only prompts, answered by the unchanged model, are mixed in (`recipe/chat.py`)."),
        mixed=mixed_text(training), notes=training.get("notes", "") + retrieval_text(measured.get("retrieval")), step_time=training.get("step_time", "in bfloat16, 1.96 s for a whole step of 2,096 tokens on two idle cores against 3.43 s in ONNX Runtime from our own graph (float32), 1.75 times as long (`npm run bench -- adapter-training`)."),
        refined="".join(REFINEMENT_TEXTS[run["step"]](run) + weighed(run) + "\n\n" for run in measured.get("refinements", [])),
        videos=videos_text(pack) if pack.get("videos") else "",
        minutes=training["minutes"], steps=training["steps"], passes=training["passes"],
        figures=figures(measured) + (pack_rows(pack) if pack.get("rows") else ""))
    (PACK_FOLDER / "MODEL_CARD.md").write_text(text.replace(". \n", ".\n"), encoding="utf-8")


def finish(work, measured):
    """MODEL_CARD.md and pack.json. measured: figures of the pack's weights that are known already; the work folder's go before them."""
    def read(name):
        path = work / name
        return json.loads(path.read_text()) if path.exists() else None

    measured = dict(measured)
    for name, file in (("training", "training.json"), ("refinements", REFINEMENTS), ("pack", "pack-report.json")):
        if found := read(file):
            measured[name] = found
    if product := read("product.json"):
        names = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider_d")
        measured["product"] = {"photos": product["count"], "beams": product["beams"], **{name: round(product["rows"]["latents"][name], 4) for name in names}}
    measured.setdefault("training", known().get("training"))
    write_pack(read("language.json") or manifest()["language"], measured)


def refresh():
    """pack.json and the card anew after a part was retrained; the figures of the other parts stay as the pack has them."""
    write_pack(manifest()["language"], known())


def write_pack(language, measured):
    """MODEL_CARD.md and pack.json. language: the numbers of language.json."""
    if retrieval := told_by("retrieval", "measured"):
        measured["retrieval"] = retrieval
    write_card(measured)
    write_manifest(language, measured)
    sizes = {path.name: path.stat().st_size for path in PACK_FOLDER.iterdir()}
    if sum(sizes.values()) > SIZE_LIMIT or max(sizes.values()) > FILE_LIMIT:
        raise SystemExit(f"the pack is too large: {sizes}")
    log(f"pack of {sum(sizes.values()) / 1e6:.1f} MB written")


def manifest():
    return json.loads((PACK_FOLDER / "pack.json").read_text())


def known():
    """The figures that the pack has of itself."""
    return manifest()["measured"] if (PACK_FOLDER / "pack.json").exists() else {}


def run(data, work):
    """Write card and manifest again with the figures that the work folder has."""
    finish(work, known())
