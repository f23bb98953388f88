"""Simple questions and answers that the words of a photo's captions allow, by rules.

What the captions do not say is not asked, except whether something is there: a noun none of the five captions names is
taken to be absent, which is right far more often than not, but not always.
"""

import re

PEOPLE = {
    "man": ["man", "guy", "gentleman"], "woman": ["woman", "lady"], "boy": ["boy"], "girl": ["girl"],
    "child": ["child", "kid", "toddler", "baby"], "person": ["person"],
}
PEOPLE_PLURALS = {"man": "men", "woman": "women", "boy": "boys", "girl": "girls", "child": "children", "person": "people"}
# Further words that mean people are there, so that no question about absent people is asked.
PEOPLE_WORDS = set("""man men woman women boy boys girl girls child children kid kids toddler toddlers baby babies person people
guy guys lady ladies gentleman player players rider riders skier snowboarder surfer climber biker cyclist skateboarder
swimmer hiker runner team crowd couple family group teenager adult adults someone worker player athlete friends""".split())

# Things: singular -> other words that name it.
THINGS = {
    "dog": ["puppy", "poodle", "terrier", "greyhound", "dachshund", "retriever", "labrador", "bulldog", "collie", "husky"],
    "cat": ["kitten"], "horse": ["pony"], "bird": ["seagull", "duck", "pigeon", "parrot"], "cow": ["bull", "cattle"],
    "ball": ["basketball", "football", "soccer", "tennis", "baseball", "volleyball"], "bicycle": ["bike", "biker", "cyclist", "bmx"],
    "motorcycle": ["motorbike", "dirtbike", "bike"], "car": ["vehicle", "truck", "suv", "taxi"], "truck": ["car", "vehicle"],
    "bus": [], "train": [], "boat": ["canoe", "kayak", "ship", "raft"], "skateboard": ["skateboarder", "skateboarding"],
    "snowboard": ["snowboarder", "snowboarding"], "surfboard": ["surfer", "surfing", "surf", "surfs"], "swing": ["swinging"],
    "slide": ["sliding", "slides"], "tree": ["trees", "forest", "woods", "branch", "log"], "flower": [], "camera": ["picture"],
    "hat": ["cap", "helmet"], "helmet": ["hat"], "guitar": ["instrument"], "umbrella": [], "fence": [], "bench": [],
    "stick": ["branch"], "frisbee": ["disc", "disk"], "rope": [], "tent": [], "fountain": [], "bridge": [], "rock": ["rocks", "cliff", "boulder"],
    "mountain": ["mountains", "hill", "cliff"], "building": ["house", "buildings", "city"], "pool": ["swimming"], "toy": ["ball", "doll"],
    "chair": ["bench", "seat"], "table": [], "book": ["reading"], "trampoline": [], "hoop": [], "flag": [], "shirt": ["t-shirt"],
    "dress": [], "jacket": ["coat"], "collar": [], "leash": [], "sweater": ["sweatshirt"],
}
PLURALS = {"bench": "benches", "bus": "buses", "dress": "dresses", "leash": "leashes"}
MASS = {"snow": ["snowy", "snowboarder", "ski", "skier", "skiing", "sled"], "water": ["ocean", "lake", "river", "pool", "sea", "pond", "waves", "wave"],
        "grass": ["grassy", "lawn", "field"], "sand": ["sandy", "beach"], "ice": ["icy"]}
COLOURS = "black white brown red blue green yellow orange pink purple gray grey tan blond golden".split()
COLOUR_NOUNS = """dog cat horse bird ball car truck bus bike bicycle motorcycle shirt jacket dress hat cap coat helmet sweater shorts pants
jeans uniform suit vest collar swimsuit boat frisbee toy umbrella hair t-shirt outfit flower kayak canoe tent""".split()
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
COUNTED = {"dogs": "dog", "men": "man", "women": "woman", "boys": "boy", "girls": "girl", "children": "child", "people": "person",
           "kids": "child", "horses": "horse", "birds": "bird", "players": "player", "cars": "car", "cats": "cat"}
PLACES = """beach snow water grass field street park pool forest woods mountain mountains river lake ocean road sidewalk yard sand
stage city playground track room kitchen dirt hill cliff wall bench stairs swing slide couch bed table rock rocks bridge boat
building restaurant store court stadium path trail crowd""".split()
ACTORS = r"man|woman|boy|girl|child|toddler|baby|person|dog|cat|horse|bird|men|women|boys|girls|children|people|dogs|horses|kids|couple|skier|surfer|climber|skateboarder|snowboarder|player|cyclist|biker"
PLURAL_ACTORS = {"men", "women", "boys", "girls", "children", "people", "dogs", "horses", "kids"}
VERBS = """runs jumps plays stands sits walks rides climbs swims holds looks catches chases carries wears throws leaps skis poses
eats drinks digs shakes sleeps lies smiles performs skateboards surfs slides swings dances kicks hits talks sings reads takes""".split()

ACTION = re.compile(rf"^(?:A|An|The|One|Two|Three|Four|Some) (?:[\w-]+,? ){{0,3}}?({ACTORS}) (?:[\w-]+ ){{0,6}}?(?:(is|are) )?(\w+ing) (.+)\.$")
PRESENT = re.compile(rf"^(?:A|An|The|One) (?:[\w-]+,? ){{0,3}}?({ACTORS}) ({'|'.join(VERBS)}) (.+)\.$")
WHO = re.compile(rf"^((?:A|An|Two|Three|Four) (?:[\w-]+,? ){{0,3}}?(?:{ACTORS})(?: (?:in|with|wearing) (?:[\w-]+ ){{1,5}}?)??) ?(?:is|are) (\w+ing) (.+)\.$")
WHERE = re.compile(rf"\b((?:in|on|at|through|along|near|across) (?:the|a|an|some) (?:[\w-]+ )?(?:{'|'.join(PLACES)}))\b")
COLOUR = re.compile(rf"\b((?:{'|'.join(COLOURS)})(?: and (?:{'|'.join(COLOURS)}))?) (?:\w+ )?({'|'.join(COLOUR_NOUNS)})\b")
NOT_VERBS = {"wearing", "holding", "building", "swimming", "morning", "evening", "something", "clothing", "railing", "ring", "string", "king", "ceiling", "spring", "wedding", "during", "being"}
SHORT = " Answer briefly."
SHORT_SHARE = 0.3


def article(noun):
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def present_things(words):
    """Nouns of THINGS, MASS and PEOPLE that a set of words names."""
    found = set()
    for noun in THINGS:
        if noun in words or PLURALS.get(noun, noun + "s") in words:
            found.add(noun)
    for noun in MASS:
        if noun in words:
            found.add(noun)
    for noun, others in PEOPLE.items():
        if PEOPLE_PLURALS[noun] in words or any(other in words for other in others):
            found.add(noun)
    return found


def maybe_present(noun, words):
    """Whether a word hints that the noun is there, so that asking for its absence would be unsafe."""
    if noun in PEOPLE:
        return bool(words & PEOPLE_WORDS)
    return any(hint in words for hint in THINGS.get(noun, MASS.get(noun, [])))


def presence(rng, things, words, pool):
    """One question whether something is there: yes and no equally often."""
    noun, answer = None, "Yes"
    if things and rng.random() < 0.5:
        noun = rng.choice(sorted(things))
    else:
        answer = "No"
        for _ in range(8):
            candidate = rng.choice(pool)
            if candidate not in things and not maybe_present(candidate, words):
                noun = candidate
                break
    if noun is None:
        return []
    name = noun if noun in MASS else article(noun)
    question = rng.choice([f"Is there {name}?", f"Is there {name}?", f"Can you see {name}?", f"Do you see {name}?"])
    if rng.random() < SHORT_SHARE:
        return [(question + " Answer yes or no.", answer)]
    return [(question, f"Yes, there is {name}." if answer == "Yes" else f"No, there is no {noun}.")]


def either(rng, question, full, short):
    """The question with its full answer, or asking for a short one."""
    return (question + SHORT, short) if rng.random() < SHORT_SHARE else (question, full)


def upper(text):
    return text[0].upper() + text[1:]


def colours(rng, sentences):
    found = {}
    for sentence in sentences:
        for colour, noun in COLOUR.findall(sentence.lower()):
            found.setdefault(noun, []).append(colour)
    made = []
    for noun, seen in found.items():
        colour = max(seen, key=seen.count)
        if seen.count(colour) * 2 <= len(seen):
            continue  # the captions disagree
        verb = "are" if noun in ("shorts", "pants", "jeans") else "is"
        word = rng.choice(["color", "color", "colour"])
        made.append(either(rng, f"What {word} {verb} the {noun}?", f"The {noun} {verb} {colour}.", f"{upper(colour)}."))
    return made


def counts(rng, sentences):
    found = {}
    for sentence in sentences:
        for number, plural in re.findall(rf"\b({'|'.join(NUMBERS)}) (?:[\w-]+ ){{0,2}}?({'|'.join(COUNTED)})\b", sentence.lower()):
            found.setdefault(plural, []).append(number)
    made = []
    for plural, seen in found.items():
        if len(set(seen)) == 1:
            made.append(either(rng, f"How many {plural} are there?", f"There are {seen[0]} {plural}.", f"{upper(seen[0])}."))
    text = " ".join(sentences).lower()
    for plural, noun in COUNTED.items():
        if noun in ("person", "player") or re.search(rf"\b{plural}\b", text):
            continue
        if sum(bool(re.search(rf"\b{noun}\b", sentence.lower())) for sentence in sentences) >= 4:
            made.append(either(rng, f"How many {plural} are there?", f"There is one {noun}.", "One."))
    return made[:2]


def actions(rng, sentences):
    made = []
    for sentence in sentences:
        if match := ACTION.match(sentence):
            actor, auxiliary, verb, rest = match.groups()
            if verb not in NOT_VERBS:
                be = "are" if actor in PLURAL_ACTORS else "is"
                made.append((f"What {be} the {actor} doing?", f"The {actor} {be} {verb} {rest}."))
        elif match := PRESENT.match(sentence):
            actor, verb, rest = match.groups()
            made.append((f"What is the {actor} doing?", f"The {actor} {verb} {rest}."))
        if match := WHO.match(sentence):
            who, verb, rest = match.groups()
            if verb not in NOT_VERBS and not re.search(r"\b(dogs?|cat|horses?|bird)\b", who):
                made.append((f"Who is {verb} {rest}?", f"{who.strip()}."))
    return rng.sample(made, min(2, len(made)))


def places(rng, sentences):
    found = [place for sentence in sentences for place in WHERE.findall(sentence.lower())]
    if not found:
        return []
    place = rng.choice(found)
    actor = re.search(rf"\b({ACTORS})\b", " ".join(sentences))
    if actor and rng.random() < 0.6:
        be, it = ("are", "They are") if actor[1] in PLURAL_ACTORS else ("is", "It is" if actor[1] in ("dog", "cat", "horse", "bird") else f"The {actor[1]} is")
        return [either(rng, f"Where {be} the {actor[1]}?", f"{it} {place}.", f"{upper(place)}.")]
    return [either(rng, rng.choice(["Where is this?", "Where does this take place?"]), f"This is {place}.", f"{upper(place)}.")]


def photo_questions(sentences):
    """sentences: [[str]] by photo -> a function (photo, rng) -> [(question, answer)]."""
    words = [set(re.findall(r"[\w-]+", " ".join(group).lower())) for group in sentences]
    things = [present_things(group) for group in words]
    pool = [noun for group in things for noun in sorted(group)]

    def make(photo, rng):
        group = sentences[photo]
        made = presence(rng, things[photo], words[photo], pool)
        return made + colours(rng, group) + counts(rng, group) + actions(rng, group) + places(rng, group)

    return make
