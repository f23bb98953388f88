"""Step 9: scores of the finished pack on dev photos in float32, and samples in the log, to see that all is well.

The product's own figures, through its 4-bit kernels, come from `latentchat evaluate`.
"""

import random

import numpy as np
import torch
from safetensors.numpy import load_file

from batch import ROOT_TEXT, Latents, Trees, rounding_grid
from card import finish, known
from common import HIDDEN, PACK_FOLDER, log, read_captions
from data import Captions, Frame, after_visual, clip_pieces, photo_pieces
from language import HEAD_DIM, HEADS, KV_HEADS, LINEARS, MLP, Projector
from pack import PROMPT
from reference import reference_model
from score import bleu4, cider

BATCH = 50
DEV_PHOTOS = 300  # the first ones


def tuned_model():
    """The reference model with the pack's adapter added to its weights, and the pack's projector; float32."""
    model = reference_model()
    adapter = {name: torch.from_numpy(value.astype(np.float32)) for name, value in load_file(PACK_FOLDER / "adapter.safetensors").items()}
    width, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    with torch.no_grad():
        for i, layer in enumerate(model.model.layers):
            change = {name: (adapter[f"layers.{i}.{name}.a"] @ adapter[f"layers.{i}.{name}.b"]).T for name in LINEARS}
            q, k, v = change["qkv"].split([width, kv, kv])
            gate, up = change["gate_up"].split([MLP, MLP])
            for linear, delta in ((layer.self_attn.q_proj, q), (layer.self_attn.k_proj, k), (layer.self_attn.v_proj, v),
                                  (layer.self_attn.o_proj, change["o"]), (layer.mlp.gate_proj, gate),
                                  (layer.mlp.up_proj, up), (layer.mlp.down_proj, change["down"])):
                linear.weight += delta
    projector = Projector(torch.ones(1)).eval()
    tensors = load_file(PACK_FOLDER / "projector.safetensors")
    projector.norm = torch.from_numpy(tensors.pop("norm").astype(np.float32))
    projector.load_state_dict({name: torch.from_numpy(value.astype(np.float32)) for name, value in tensors.items()}, strict=False)
    return model, projector


class Generator:
    """Greedy answers of the tuned model to (pieces, question) prompts."""

    def __init__(self, latents):
        self.model, self.projector = tuned_model()
        self.trees, self.latents = Trees(), latents

    def embed(self, pieces, question):
        table, parts = self.model.get_input_embeddings().weight, []
        text = ROOT_TEXT
        for piece in pieces:
            if isinstance(piece, Frame):
                parts.append(self.projector(self.latents.rounded([piece]))[0])
            else:
                parts.append(table[self.trees.encode(text + piece)])
                text = ""
        tail = after_visual(question)
        parts.append(table[self.trees.encode(tail if pieces else text + tail[1:])])
        return torch.cat(parts)

    @torch.no_grad()
    def answers(self, prompts, tokens=40):
        """prompts: [(pieces, question)] -> [str]."""
        made = []
        for start in range(0, len(prompts), BATCH):
            embedded = [self.embed(*prompt) for prompt in prompts[start:start + BATCH]]
            longest = max(len(rows) for rows in embedded)
            inputs = torch.zeros(len(embedded), longest, HIDDEN)
            mask = torch.zeros(len(embedded), longest, dtype=torch.long)
            for row, rows in enumerate(embedded):
                inputs[row, longest - len(rows):], mask[row, longest - len(rows):] = rows, 1
            out = self.model.generate(inputs_embeds=inputs, attention_mask=mask, max_new_tokens=tokens, do_sample=False)
            made += [self.trees.text(ids.tolist()) for ids in out]
        return made


def measure(generator, captions):
    """Scores on dev photos with rounded latents."""
    photos = range(DEV_PHOTOS)
    made = generator.answers([(photo_pieces(Frame(photo, 0)), PROMPT["default_question"]) for photo in photos])
    references = [captions.sentences[photo] for photo in photos]
    scores = {"photos": len(made), "cider": round(cider(made, references), 3), "bleu4": round(bleu4(made, references), 3)}
    log(f"captions of {len(made)} dev photos, greedy: {scores}")
    for photo in range(0, 100, 10):
        log(f"{captions.photos[photo]}: {made[photo]}  [{captions.sentences[photo][0]}]")
    rng, asked = random.Random(7), {"yes/no": [], "color": []}
    for photo in photos:
        for question in captions.questions(photo, rng):
            if question.kind in asked:
                asked[question.kind].append((photo, question.short_text, question.accepted[0]))
    for kind, items in asked.items():
        answers = generator.answers([(photo_pieces(Frame(photo, 0)), question) for photo, question, _ in items], tokens=8)
        right = sum(a.strip(" .").lower() == answer.strip(" .").lower() for a, (_, _, answer) in zip(answers, items))
        scores[f"{kind} questions"] = {"asked": len(items), "right": round(right / len(items), 3)}
        log(f"{kind}: {scores[f'{kind} questions']}, answers {sorted(set(answers))[:12]}")
    clip = clip_pieces([Frame(3, 0), Frame(3, 0), Frame(8, 0), Frame(8, 0)], [0.5, 1.5, 2.5, 3.5])
    samples = [(clip, PROMPT["default_question"]), (clip, "What happens in the video?"), ([], "What is the capital of Italy?"),
               ([], "Tell me something interesting about cats."), (photo_pieces(Frame(3, 0)), "What is happening?")]
    for (pieces, question), answer in zip(samples, [generator.answers([sample])[0] for sample in samples]):
        log(f"{'clip' if len(pieces) > 2 else 'photo' if pieces else 'text'}: {question} -> {answer}")
    return scores


def run(data, work):
    """Measure, and write the figures into the pack."""
    grid = rounding_grid(np.load(work / "latents-train.npy").astype(np.float32))
    captions = Captions(read_captions(data / "flickr8k" / "dev.tsv"))
    generator = Generator(Latents(np.load(work / "latents-dev.npy").astype(np.float32), grid))
    finish(work, {**known(), "float32": {"about": "greedy, float32, latents rounded to 4 bits on the training photos' grid", **measure(generator, captions)}})
