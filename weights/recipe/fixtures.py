"""Step 4: expected numbers for the tests, from reference implementations, under test/fixtures/language and vision.

Language: transformers in float32 on the pack's exact dequantised weights, without the adapter. Vision: the original
PyTorch implementation of EfficientNet-Lite on test/fixtures/vision/photo.png.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import PreTrainedTokenizerFast

from common import FIXTURE_FOLDER, PACK_FOLDER, log, source_file
from latents import apply_map
from pack import PROMPT
from reference import reference_model
from vision import VisionTower, folded_weights, normalise, pool_tokens

MADE_BY = "weights/recipe/fixtures.py"
GREEDY_TOKENS = 64
TEACHER_TOKENS = 2000

GREEDY_PROMPTS = [
    [{"role": "user", "content": "Tell me a short story about a fox who lives near a lighthouse."}],
    [{"role": "user", "content": "Explain in simple words why the sky is blue."}],
    [{"role": "system", "content": "You are a friendly cook."},
     {"role": "user", "content": "How do I boil an egg?"}],
]

TRICKY_TEXTS = [
    "", " ", "  ", "\n", "\n\n", " \n \n", "\t", "a", " a", "Hello, world!", "Hello  world", "   three spaces before",
    "It's what we've done; they'll see, I'd say.", "IT'S 'S 't 'LL", "12345", "3.14159 and 1,000,000", "year2024", "x=y**2+z[0];",
    "Photo: ", "\nDescribe what you see in one sentence.", "Video, 8 frames:\n0.0 s: ", "\n12.5 s: ",
    "naïve café déjà vu", "Straße, Größe, Öl", "日本語のテキスト", "Привет, мир", "مرحبا", "한국어", "🙂", "👩‍👩‍👧‍👦 family", "e\u0301 combining",
    "\u00a0no-break\u2003space", "\u200bzero width", "<|im_start|>user\nhi<|im_end|>", "<|im_end|><|im_end|>", "<|endoftext|>x",
    "< |im_end| >", "trailing space ", "CamelCaseIdentifier snake_case_name", "http://example.org/a?b=c&d=e#f", "a\r\nb\rc", "0.5 s",
]


def write_fixture(path, value):
    """JSON with one line a top-level entry: short, and readable in a diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def pack_tokenizer():
    """transformers' tokenizer on the pack's files."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(PACK_FOLDER / "tokenizer.json"), clean_up_tokenization_spaces=False)
    tokenizer.chat_template = (PACK_FOLDER / "chat_template.jinja").read_text(encoding="utf-8")
    return tokenizer


def tokenizer_fixture(tokenizer, folder):
    texts = [{"text": text, "ids": tokenizer(text, add_special_tokens=False).input_ids} for text in TRICKY_TEXTS]
    for entry in texts:
        entry["decoded"] = tokenizer.decode(entry["ids"])
    write_fixture(folder / "tokenizer.json", {"made_by": MADE_BY, "texts": texts})


def template_fixture(tokenizer, folder):
    conversations = [*GREEDY_PROMPTS, [
        {"role": "system", "content": PROMPT["system"]}, {"role": "user", "content": "Photo: \nWhat is this?"},
        {"role": "assistant", "content": "A dog."}, {"role": "user", "content": "What color is it?"}]]
    write_fixture(folder / "chat-template.json", {"made_by": MADE_BY, "renderings": [
        {"messages": messages, "add_generation_prompt": prompt,
         "text": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)}
        for messages in conversations for prompt in (True, False)]})


@torch.no_grad()
def greedy_fixture(model, tokenizer, folder):
    """GREEDY_TOKENS tokens after each prompt (or fewer, if the model ends its answer), and the closest call among them."""
    made = []
    for messages in GREEDY_PROMPTS:
        prompt = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
                           add_special_tokens=False).input_ids
        ids, cache, step, margins = [], None, torch.tensor([prompt]), []
        while len(ids) < GREEDY_TOKENS:
            out = model(step, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            best = out.logits[0, -1].topk(2)
            margins.append(float(best.values[0] - best.values[1]))
            ids.append(int(best.indices[0]))
            if ids[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>"):
                break
            step = torch.tensor([[ids[-1]]])
        made.append({"messages": messages, "prompt_ids": prompt, "ids": ids, "text": tokenizer.decode(ids),
                     "smallest_margin": round(min(margins), 5)})
    write_fixture(folder / "greedy.json", {"made_by": MADE_BY, "tokens": GREEDY_TOKENS, "prompts": made})


@torch.no_grad()
def teacher_fixture(model, tokenizer, folder):
    """Loss and most likely token at each of TEACHER_TOKENS positions of prose.txt, in one context."""
    text = (Path(__file__).parent / "prose.txt").read_text(encoding="utf-8")
    ids = tokenizer(text, add_special_tokens=False).input_ids[:TEACHER_TOKENS + 1]
    logits = model(torch.tensor([ids])).logits[0, :-1]
    losses = F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    write_fixture(folder / "teacher-forcing.json", {
        "made_by": MADE_BY, "about": "losses[i] and top1[i] are of ids[i + 1] given ids[0..i], natural logarithm",
        "mean_loss": round(float(losses.mean()), 6), "ids": ids,
        "losses": [round(float(loss), 5) for loss in losses], "top1": logits.argmax(-1).tolist()})
    log(f"reference loss on the prose: {float(losses.mean()):.4f} a token")


@torch.no_grad()
def vision_fixture(folder):
    from efficientnet_lite_pytorch import EfficientNet

    with Image.open(folder / "photo.png") as image:
        pixels = normalise(torch.from_numpy(np.asarray(image.convert("RGB"))[None].copy()))
    original = EfficientNet.from_name("efficientnet-lite2")
    original.load_state_dict(torch.load(source_file("vision"), map_location="cpu", weights_only=True))
    logits = original.eval()(pixels)[0]
    feature_map = original.extract_features(pixels)
    tokens = pool_tokens(feature_map)[0]  # (5, 1280)
    own = VisionTower(folded_weights())(pixels)
    difference = float((own - feature_map).abs().max())
    if difference > 1e-3:
        raise SystemExit(f"the folded vision tower differs from the original by {difference}")
    write_fixture(folder / "logits.json", {
        "made_by": MADE_BY, "photo": "photo.png", "implementation": "efficientnet-lite-pytorch 0.1.0, float32",
        "top5": logits.topk(5).indices.tolist(), "logits": [round(float(value), 6) for value in logits]})
    write_fixture(folder / "tokens.json", {
        "made_by": MADE_BY, "photo": "photo.png", "about": "first 32 numbers of each of the 5 feature tokens, and the 256 latent numbers",
        "tokens": [[round(float(value), 6) for value in token[:32]] for token in tokens],
        "latent": [round(float(value), 5) for value in apply_map(tokens.reshape(1, -1).numpy())[0]]})


def run(data, work):
    """Write every fixture."""
    language, vision = FIXTURE_FOLDER / "language", FIXTURE_FOLDER / "vision"
    if (vision / "tokens.json").exists():
        return
    tokenizer = pack_tokenizer()
    tokenizer_fixture(tokenizer, language)
    template_fixture(tokenizer, language)
    model = reference_model()
    greedy_fixture(model, tokenizer, language)
    teacher_fixture(model, tokenizer, language)
    vision_fixture(vision)
