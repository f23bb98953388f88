"""Text-only examples: prompts without a photo, answered greedily by the unchanged model, so that training keeps that ability.

Writes chat.json in the work folder: [[question, answer, whether the answer is whole]]. An answer that is too long is cut, and its
end is not learned: the model would learn to stop where we stopped.
"""

import torch

from batch import IM_END
from common import log, write_json
from fixtures import pack_tokenizer
from pack import PROMPT
from reference import reference_model

NEW_TOKENS = 96
BATCH = 32

TOPICS = ["a rainbow", "the moon", "a volcano", "bread", "a bicycle", "the ocean", "a computer", "music", "a library", "winter",
          "coffee", "a bridge", "football", "a garden", "democracy", "a photograph", "gravity", "a good friend", "chess", "a whale",
          "electricity", "a novel", "a train", "honey", "sleep", "a mountain", "money", "an island", "a painting", "tea",
          "a hammer", "rice", "the heart", "a lighthouse", "spring", "a newspaper", "a telescope", "friendship", "cheese", "a dentist",
          "wind", "an airport", "a poem", "soap", "the stomach", "a castle", "a bank", "pepper", "glass", "a holiday",
          "a calendar", "iron", "a river", "a violin", "a parrot", "the future", "a battery", "cotton", "a wheel", "an orchestra"]
FORMS = ["What is {topic}?", "Tell me something interesting about {topic}.", "Write two sentences about {topic}.",
         "Explain {topic} to a child."]
SINGLE = ["Hello!", "Hi, who are you?", "Thank you!", "What is two plus three?", "What is the capital of Italy?",
          "What is the opposite of hot?", "Name three colors.", "Name three animals that can swim.", "How many days are in a week?",
          "Translate 'good morning' to French.", "What should I cook tonight?", "Give me a tip for learning English.",
          "What is the largest planet?", "What is the plural of child?", "What is seven times six?", "Name two metals.",
          "How do I say please in German?", "What do cows eat?", "Which animal says woof?", "Write a short thank-you note.",
          "What is an adjective?", "What is the last month of the year?", "How many wheels does a car have?", "What is a square?",
          "Say good night in Italian.", "Why is ice slippery? Answer in one sentence.", "Write one sentence about snow.",
          "What is a spoon used for? Answer in one sentence.", "Describe a good neighbour in one sentence.", "Who wrote Romeo and Juliet?", "Why do leaves fall in autumn?", "How do I boil an egg?"]


@torch.no_grad()
def run(data, work):
    """Generate the answers."""
    target = work / "chat.json"
    if target.exists():
        return
    tokenizer, model = pack_tokenizer(), reference_model()
    tokenizer.padding_side, tokenizer.pad_token = "left", "<|im_end|>"
    questions = SINGLE + [form.format(topic=topic) for topic in TOPICS for form in FORMS]
    pairs = []
    for start in range(0, len(questions), BATCH):
        part = questions[start:start + BATCH]
        texts = [tokenizer.apply_chat_template(
            [{"role": "system", "content": PROMPT["system"]}, {"role": "user", "content": question}],
            tokenize=False, add_generation_prompt=True) for question in part]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        made = model.generate(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask,
                              max_new_tokens=NEW_TOKENS, do_sample=False)
        for question, ids in zip(part, made[:, inputs.input_ids.shape[1]:]):
            answer = tokenizer.decode(ids, skip_special_tokens=True).strip()
            if answer:
                pairs.append([question, answer, IM_END in ids])
        log(f"text-only answers: {len(pairs)}")
    write_json(target, pairs)
