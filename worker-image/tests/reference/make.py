#!/usr/bin/env python3
"""Writes vectors.json: what sentence-transformers makes of a few texts. The worker has to agree with it to 1e-4.

    pip install sentence-transformers==6.2.0
    worker-image/tests/reference/make.py "$(worker-image/model.sh)" > worker-image/tests/reference/vectors.json
"""

import json
import sys

from sentence_transformers import SentenceTransformer

SENTENCE = "The notice period grows with the years that a person has been employed. "

TEXTS = [
    "How much parental leave do I get?",
    "a",
    "",
    " \n\t ",
    "Berlin, Zürich, Kraków and 東京 are cities; ça va bien, спасибо.",
    "emoji 🙂 and a family 👨‍👩‍👧‍👦, zero width\u200bspace, soft\u00adhyphen, NUL-free",
    "fn main() { println!(\"{:?}\", std::env::args().collect::<Vec<_>>()); }",
    "| quarter | revenue |\n|---|---|\n| Q1 | 1,204,000 € |\n| Q2 | 998,500 € |",
    SENTENCE * 3,
    # longer than the 256 tokens that the model reads: what follows must not count
    SENTENCE * 40,
    "pneumonoultramicroscopicsilicovolcanoconiosis" * 20,
    "1234567890 " * 200,
]

model = SentenceTransformer(sys.argv[1], device="cpu")
# one at a time: padding must not matter
vectors = [model.encode([text], convert_to_numpy=True)[0] for text in TEXTS]
entries = [
    {"text": text, "vector": [round(float(number), 7) for number in vector]} for text, vector in zip(TEXTS, vectors)
]
# one text a line, so that a change can be read in a diff
print("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]")
