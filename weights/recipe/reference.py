"""The reference implementation: transformers' LlamaForCausalLM with the pack's exact dequantised weights, float32."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from common import HIDDEN
from convert import dequantise, dequantise_embedding, load_language
from language import HEAD_DIM, HEADS, KV_HEADS, LAYERS, MLP, RMS_EPS, ROPE_THETA


def reference_model(dtype=torch.float32):
    """LlamaForCausalLM of the unchanged language model."""
    tensors = load_language()
    config = LlamaConfig(
        vocab_size=49152, hidden_size=HIDDEN, intermediate_size=MLP, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM, rms_norm_eps=RMS_EPS, max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2, attn_implementation="sdpa")
    model = LlamaForCausalLM(config)
    state = {"model.embed_tokens.weight": dequantise_embedding(tensors), "model.norm.weight": tensors["norm"]}
    width, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    for i in range(LAYERS):
        layer = f"model.layers.{i}"
        qkv, gate_up = dequantise(tensors, f"layers.{i}.qkv"), dequantise(tensors, f"layers.{i}.gate_up")
        state[f"{layer}.self_attn.q_proj.weight"] = qkv[:width]
        state[f"{layer}.self_attn.k_proj.weight"] = qkv[width:width + kv]
        state[f"{layer}.self_attn.v_proj.weight"] = qkv[width + kv:]
        state[f"{layer}.self_attn.o_proj.weight"] = dequantise(tensors, f"layers.{i}.o")
        state[f"{layer}.mlp.gate_proj.weight"], state[f"{layer}.mlp.up_proj.weight"] = gate_up[:MLP], gate_up[MLP:]
        state[f"{layer}.mlp.down_proj.weight"] = dequantise(tensors, f"layers.{i}.down")
        state[f"{layer}.input_layernorm.weight"] = tensors[f"layers.{i}.attention_norm"]
        state[f"{layer}.post_attention_layernorm.weight"] = tensors[f"layers.{i}.mlp_norm"]
    missing, unexpected = model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise SystemExit(f"the reference model does not match the pack: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.eval().to(dtype)
