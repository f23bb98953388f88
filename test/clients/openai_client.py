"""The Python package openai as its documentation has it used, with pydantic. Run by test/e2e/clients.test.ts."""
import enum
import io
import json
import os
import time

import openai
from pydantic import BaseModel, Field

BASE, VIDEO, MODEL = (os.environ[f"LATENTCHAT_CLIENT_{name}"] for name in ("BASE", "VIDEO", "MODEL"))
client = openai.OpenAI(base_url=BASE, api_key="none", max_retries=0)


def about(text):
    return {"role": "user", "content": [{"type": "video_url", "video_url": {"url": VIDEO}}, {"type": "text", "text": text}]}


class Animal(enum.Enum):
    dog = "dog"
    rabbit = "rabbit"
    cat = "cat"


class Place(BaseModel):
    indoors: bool
    name: str


class Scene(BaseModel):
    """What is seen."""

    animal: Animal
    place: Place
    count: int = Field(ge=0, le=9)
    note: str | None = Field(description="Anything else.")


def models():
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def conversation():
    messages = [about("What do you see?")]
    for question in ("Which colour is it?", "Thank you."):
        completion = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=12, user="someone", frequency_penalty=0, logprobs=False, store=False)
        assert completion.choices[0].message.content
        messages += [completion.choices[0].message, {"role": "user", "content": question}]
    with client.chat.completions.stream(model=MODEL, messages=messages, max_tokens=200) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion().choices[0].message
    assert text and text == final.content
    messages += [final.model_dump(), {"role": "user", "content": "And now?"}]
    assert client.chat.completions.create(model=MODEL, messages=messages, max_tokens=8).choices[0].message.content


def structured():
    messages = [about("Which animal is it, and where?")]
    completion = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Scene, max_tokens=160)
    message = completion.choices[0].message
    assert isinstance(message.parsed, Scene), completion
    messages += [message, {"role": "user", "content": "Are you sure?"}]
    assert client.chat.completions.create(model=MODEL, messages=messages, max_tokens=8).choices[0].message.content
    parsed = client.responses.parse(model=MODEL, input="A rabbit sits in the grass.", text_format=Scene, max_output_tokens=160)
    assert isinstance(parsed.output_parsed, Scene), parsed


def responses():
    whole = client.responses.create(model=MODEL, input="Say hello.", max_output_tokens=64)
    assert whole.output_text and whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(model=MODEL, input="Say hello.", max_output_tokens=64) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert text == stream.get_final_response().output_text == whole.output_text
    conversation = [{"role": "user", "content": "Say hello."}, *whole.output, {"role": "user", "content": "Again."}]
    assert client.responses.create(model=MODEL, instructions="Be brief.", input=conversation, max_output_tokens=12).output_text
    try:
        client.responses.create(model=MODEL, input="Hi", previous_response_id=whole.id)
    except openai.BadRequestError as error:
        assert (error.code, error.param) == ("unsupported_parameter", "previous_response_id"), error
    else:
        raise AssertionError("previous_response_id was not refused")


def embeddings():
    rabbit, plane, shown = (one.embedding for one in client.embeddings.create(model=MODEL, input=["a rabbit in the grass", "an aeroplane over the sea", VIDEO]).data)
    cosine = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert abs(cosine(shown, shown) - 1) < 1e-3 and cosine(rabbit, shown) > cosine(plane, shown)


def batches():
    line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": {"model": MODEL, "messages": [about("What do you see?")], "max_tokens": 6}}
    file = client.files.create(file=("questions.jsonl", io.BytesIO((json.dumps(line) + "\n").encode())), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    assert batch.request_counts.completed == 1, batch
    assert json.loads(client.files.content(batch.output_file_id).text)["response"]["body"]["choices"][0]["message"]["content"]
    assert client.files.delete(file.id).deleted


for check in (models, conversation, structured, responses, embeddings, batches):
    check()
    print(f"{check.__name__} ok")
print("openai", openai.__version__)
