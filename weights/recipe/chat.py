"""Text-only examples: prompts without a photo, answered greedily by the unchanged model, so that training keeps that ability.

Writes chat.json in the work folder: [[question, answer, whether the answer is whole]]. An answer that is too long is cut, and its
end is not learned: the model would learn to stop where we stopped.
"""

import random
from dataclasses import replace

import torch

from batch import IM_END, Trees
from classes import class_names
from common import log, write_json
from convert import load_language
from data import unshown
from device import choose_setting
from language import Adapter, Language
from questions import with_article
from sampling import Sampler

NEW_TOKENS = 96
BATCH = 60
THINGS, SEED = 480, 8

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

THING_FORMS = ["What is {thing}?", "Tell me about {thing}.", "Describe {thing} in one sentence.", "What is {thing} good for?",
               "Write two sentences about {thing}."]


def prompts():
    """The questions, each once: of everyday talk, about topics, and about things by the names of the vision tower's classes.

    A few hundred are not enough: the model learns their answers by heart and its others drift.
    """
    rng = random.Random(SEED)
    things = [rng.choice(THING_FORMS).format(thing=with_article(names[0])) for names in rng.sample(class_names(), THINGS)]
    return list(dict.fromkeys([*SINGLE, *(form.format(topic=topic) for topic in TOPICS for form in FORMS), *things]))


def run(data, work):
    """Generate the answers."""
    target = work / "chat.json"
    if target.exists():
        return
    # In float32 wherever it runs: rounded to bfloat16 the model gives other answers to most prompts.
    trees, setting = Trees(), replace(choose_setting(), dtype=torch.float32)
    sampler = Sampler(Language(load_language(), setting), trees.root)
    sampler.take(Adapter().to(setting.device).cast(setting.dtype))  # adds nothing before it is trained
    same_length = {}  # questions, which the sampler takes together
    for question in prompts():
        ids = trees.encode(unshown(question))
        same_length.setdefault(len(ids), []).append((question, ids))
    pairs = []
    for group in same_length.values():
        for start in range(0, len(group), BATCH):
            questions, ids = zip(*group[start:start + BATCH])
            embedded = sampler.language.embedding[torch.tensor(ids, device=setting.device)]
            for question, written in zip(questions, sampler.answers(embedded, longest=NEW_TOKENS)):
                answer = trees.text(written)
                if answer:
                    pairs.append([question, answer, IM_END in written])
            log(f"text-only answers: {len(pairs)}")
    write_json(target, pairs)
