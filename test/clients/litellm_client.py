"""LiteLLM, to which this server is an OpenAI-compatible one. Run by test/e2e/clients.test.ts."""
import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
import litellm
from pydantic import BaseModel

BASE, VIDEO, MODEL = (os.environ[f"LATENTCHAT_CLIENT_{name}"] for name in ("BASE", "VIDEO", "MODEL"))
options = {"model": f"openai/{MODEL}", "api_base": BASE, "api_key": "none", "num_retries": 0}
question = {"role": "user", "content": [{"type": "video_url", "video_url": {"url": VIDEO}}, {"type": "text", "text": "What do you see?"}]}


class Scene(BaseModel):
    indoors: bool
    animal: str | None


def conversation():
    answer = litellm.completion(messages=[question], max_tokens=12, user="someone", **options).choices[0].message
    assert answer.content
    for sent in (answer, answer.model_dump()):
        assert litellm.completion(messages=[question, sent, {"role": "user", "content": "Which colour is it?"}], max_tokens=8, **options).choices[0].message.content


def stream():
    whole = litellm.completion(messages=[question], max_tokens=12, **options).choices[0].message.content
    pieces = litellm.completion(messages=[question], max_tokens=12, stream=True, stream_options={"include_usage": True}, **options)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in pieces if chunk.choices) == whole


def structured():
    text = litellm.completion(messages=[question], max_tokens=100, response_format=Scene, **options).choices[0].message.content
    Scene.model_validate_json(text)


def responses():
    assert litellm.responses(input="Say hello.", max_output_tokens=12, **options).output[0].content[0].text


def embeddings():
    assert len(litellm.embedding(input=["a rabbit"], **options).data[0]["embedding"]) > 10


for check in (conversation, stream, structured, responses, embeddings):
    check()
    print(f"{check.__name__} ok")
print("litellm")
