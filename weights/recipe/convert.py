"""Step 2: the published weights as files of the pack.

The language model's 4-bit numbers are moved, never rounded: the GGUF's Q4_1 blocks (w = d q + m) reach the pack bit for bit,
with rows in Hugging Face's order. The embedding stays in its Q8_0 blocks. The vision tower is stored in float16 with an
8-bit residual: float16 alone moves its logits by up to 0.04.
"""

import numpy as np
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from common import PACK_FOLDER, log, source_file, write_json
from features import tower_weights

LAYERS_IN_FIRST_SHARD = 15


def unpack_q4_1(blocks):
    """GGUF Q4_1 rows (N, K/32 * 20) uint8 -> (q (N, K/32, 32) uint8 in 0..15, d (N, K/32) float16, m (N, K/32) float16)."""
    blocks = blocks.reshape(blocks.shape[0], -1, 20)
    d = np.ascontiguousarray(blocks[:, :, 0:2]).view(np.float16)[:, :, 0]
    m = np.ascontiguousarray(blocks[:, :, 2:4]).view(np.float16)[:, :, 0]
    packed = blocks[:, :, 4:20]
    # GGUF: byte j holds element j in its low nibble and element j + 16 in its high nibble.
    return np.concatenate([packed & 15, packed >> 4], axis=2), d, m


def pack_nibbles(q):
    """(N, B, 32) numbers in 0..15 -> (N, B, 16) bytes in MatMulNBits' order: element 2j low, 2j + 1 high."""
    return q[:, :, 0::2] | (q[:, :, 1::2] << 4)


def half_split_rows(rows, heads):
    """Undo the row order GGUF uses for rotary positions: interleaved pairs -> first halves, then second halves, a head.

    rows: (heads * head_dim, ...)
    """
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def language_tensors(reader, heads, kv_heads, layers):
    """The pack's tensors of the decoder's layers, by name."""
    sources = {tensor.name: tensor for tensor in reader.tensors}
    tensors = {}

    def linear(target, parts):
        quantised = []
        for name, permuted_heads in parts:
            source = sources[f"{name}.weight"]
            if source.tensor_type.name != "Q4_1":
                raise SystemExit(f"{name} is {source.tensor_type.name}, expected Q4_1")
            arrays = unpack_q4_1(np.asarray(source.data))
            quantised.append([half_split_rows(a, permuted_heads) if permuted_heads else a for a in arrays])
        q, d, m = (np.concatenate(arrays) for arrays in zip(*quantised))
        tensors[f"{target}.q4"] = pack_nibbles(q)
        tensors[f"{target}.scale"] = d
        tensors[f"{target}.min"] = m

    for i in range(layers):
        blk = f"blk.{i}"
        linear(f"layers.{i}.qkv", [(f"{blk}.attn_q", heads), (f"{blk}.attn_k", kv_heads), (f"{blk}.attn_v", 0)])
        linear(f"layers.{i}.o", [(f"{blk}.attn_output", 0)])
        linear(f"layers.{i}.gate_up", [(f"{blk}.ffn_gate", 0), (f"{blk}.ffn_up", 0)])
        linear(f"layers.{i}.down", [(f"{blk}.ffn_down", 0)])
        tensors[f"layers.{i}.attention_norm"] = np.array(sources[f"{blk}.attn_norm.weight"].data, np.float32)
        tensors[f"layers.{i}.mlp_norm"] = np.array(sources[f"{blk}.ffn_norm.weight"].data, np.float32)
    tensors["norm"] = np.array(sources["output_norm.weight"].data, np.float32)
    return tensors


def embedding_tensors(reader):
    """embed.q8 (V, 576) int8 and embed.scale (V, 18) float16 from the GGUF's Q8_0 blocks, bit for bit."""
    source = next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight")
    if source.tensor_type.name != "Q8_0":
        raise SystemExit(f"token_embd is {source.tensor_type.name}, expected Q8_0")
    blocks = np.asarray(source.data)
    blocks = blocks.reshape(blocks.shape[0], -1, 34)  # float16 scale, 32 int8
    scale = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16)[:, :, 0]
    numbers = np.ascontiguousarray(blocks[:, :, 2:]).view(np.int8).reshape(blocks.shape[0], -1)
    return {"embed.q8": numbers, "embed.scale": scale}


def build_tokenizer(tokens, token_types, merges):
    """SmolLM2's byte-level BPE: digits one by one, GPT-2's splitting pattern, no normaliser."""
    control = 3  # GGUF's token type of special tokens
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, token_types) if kind == control]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return tokenizer


def dequantise(tensors, name):
    """A 4-bit linear layer's weights (out, in) float32: w = d q + m."""
    packed = tensors[f"{name}.q4"]
    q = np.empty((*packed.shape[:2], 32), np.float32)
    q[:, :, 0::2], q[:, :, 1::2] = packed & 15, packed >> 4
    scale, low = (tensors[f"{name}.{part}"].astype(np.float32)[:, :, None] for part in ("scale", "min"))
    return (scale * q + low).reshape(packed.shape[0], -1)


def dequantise_embedding(tensors):
    """The embedding (V, 576) float32."""
    q, scale = tensors["embed.q8"], tensors["embed.scale"].astype(np.float32)
    return (q.reshape(q.shape[0], -1, 32) * scale[:, :, None]).reshape(q.shape)


def load_language(folder=PACK_FOLDER):
    """All tensors of the pack's language shards and embedding."""
    tensors = {}
    for name in ("language-1", "language-2", "embedding"):
        tensors.update(load_file(folder / f"{name}.safetensors"))
    return tensors


def vision_tensors(weights):
    """Each weight as float16 `weight`, and what that leaves as int8 `residual` times float32 `residual_scale` of the first axis.

    Biases stay in float32.
    """
    tensors = {}
    for name, value in weights.items():
        value = value.numpy()
        if name.endswith(".bias"):
            tensors[name] = value
            continue
        half = value.astype(np.float16)
        rest = value - half.astype(np.float32)
        scale = np.abs(rest).reshape(len(rest), -1).max(1) / 127
        scale[scale == 0] = 1
        tensors[name] = half
        residual = name.removesuffix("weight") + "residual"
        tensors[residual] = np.round(rest / scale.reshape(-1, *[1] * (rest.ndim - 1))).astype(np.int8)
        tensors[f"{residual}_scale"] = scale.astype(np.float32)
    return tensors


def run(data, work):
    """Write language.json for the manifest, the vision tower and, where the pack lacks them, the language, embedding and tokenizer files."""
    if (work / "language.json").exists():
        return
    PACK_FOLDER.mkdir(parents=True, exist_ok=True)
    vision = {name: np.ascontiguousarray(value) for name, value in vision_tensors(tower_weights(work)).items()}
    save_file(vision, PACK_FOLDER / "vision.safetensors")
    (PACK_FOLDER / "vision.safetensors").chmod(0o644)
    reader = GGUFReader(source_file("language"))

    def field(name):
        return reader.fields[name].contents()

    layers = field("llama.block_count")
    write_json(work / "language.json", {
        "architecture": field("general.architecture"),
        "layers": layers,
        "hidden": field("llama.embedding_length"),
        "heads": field("llama.attention.head_count"),
        "kv_heads": field("llama.attention.head_count_kv"),
        "head_dim": field("llama.rope.dimension_count"),
        "intermediate": field("llama.feed_forward_length"),
        "vocab": field("llama.vocab_size"),
        "rope_theta": field("llama.rope.freq_base"),
        "rms_eps": 1e-5,
        "context": field("llama.context_length"),
        "bos": field("tokenizer.ggml.bos_token_id"),
        "eos": field("tokenizer.ggml.eos_token_id"),
        "tied": True,
    })
    if (PACK_FOLDER / "embedding.safetensors").exists():
        return
    tensors = language_tensors(reader, field("llama.attention.head_count"), field("llama.attention.head_count_kv"), layers)
    first = {n: t for n, t in tensors.items() if n.startswith("layers.") and int(n.split(".")[1]) < LAYERS_IN_FIRST_SHARD}
    second = {n: t for n, t in tensors.items() if n not in first}
    for name, shard in (("language-1", first), ("language-2", second), ("embedding", embedding_tensors(reader))):
        save_file({key: np.ascontiguousarray(value) for key, value in shard.items()}, PACK_FOLDER / f"{name}.safetensors")
    tokenizer = build_tokenizer(
        field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type"), field("tokenizer.ggml.merges"))
    tokenizer.save(str(PACK_FOLDER / "tokenizer.json"), pretty=False)
    (PACK_FOLDER / "chat_template.jinja").write_text(field("tokenizer.chat_template"), encoding="utf-8")
    for path in PACK_FOLDER.glob("*.safetensors"):
        path.chmod(0o644)
    log("converted the language model")
