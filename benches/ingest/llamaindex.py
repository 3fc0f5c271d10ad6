"""Ingests a folder with LlamaIndex's IngestionPipeline, and prints what src/main.rs prints. Its own readers, its sentence
splitter, its docstore with upserts, its in-memory vector store, both written to disk at the end."""

import json
import logging
import os
import sys
import time
from pathlib import Path

# `theirs` is the other benchmark's
sys.path.insert(0, str(Path(__file__).parent.parent / "embed"))

from llama_index.core import SimpleDirectoryReader
from llama_index.core.embeddings import BaseEmbedding, MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.readers.file import HTMLTagReader, PDFReader
from pydantic import PrivateAttr
from tokenizers import Tokenizer

# as src/main.rs by default: `Chunking::default()`, and the two tokens that the model adds
CHUNK_TOKENS, OVERLAP_TOKENS = 254, 32


class OnnxEmbedding(BaseEmbedding):
    """The model by onnxruntime, as it is fastest: by length, 16 texts a batch."""

    _model = PrivateAttr()

    def __init__(self, folder, work):
        # only here: what costs nothing needs no onnxruntime
        from theirs import Model

        super().__init__(model_name="onnx", embed_batch_size=64)
        self._model = Model(folder, work, os.cpu_count(), kinds=("fused",))

    def _get_text_embeddings(self, texts):
        return self._model.embed(texts, "fused", 16, "sorted").tolist()

    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


def read(folder):
    readers = {".html": HTMLTagReader(tag="body"), ".pdf": PDFReader()}
    # the cache's folder itself is hidden
    reader = SimpleDirectoryReader(folder, exclude_hidden=False, filename_as_id=True, file_extractor=readers)
    documents = reader.load_data()
    for document in documents:
        # the text alone is embedded, as on the other side
        document.excluded_embed_metadata_keys = list(document.metadata)
    return documents


def main():
    kind, folder, store, model = sys.argv[1:]
    # what its PDF reader has to say of fonts
    logging.disable(logging.WARNING)
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    embedder = MockEmbedding(embed_dim=384) if kind == "mock" else OnnxEmbedding(model, str(Path(store).parent))
    splitter = SentenceSplitter(
        chunk_size=CHUNK_TOKENS,
        chunk_overlap=OVERLAP_TOKENS,
        tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        include_metadata=False,
    )
    start = time.perf_counter()
    known = Path(store).exists()
    vectors = SimpleVectorStore.from_persist_path(f"{store}/vectors.json") if known else SimpleVectorStore()
    pipeline = IngestionPipeline(
        transformations=[splitter, embedder],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
        vector_store=vectors,
        # its docstore leaves out what is unchanged; the cache would only cost time
        disable_cache=True,
    )
    if known:
        pipeline.load(store)
    documents = read(folder)
    reading = time.perf_counter() - start
    nodes = pipeline.run(documents=documents)
    working = time.perf_counter() - start
    if nodes:
        pipeline.persist(store)
        vectors.persist(f"{store}/vectors.json")
    seconds = time.perf_counter() - start
    files = {document.id_: document.metadata["file_path"] for document in documents}
    print(
        json.dumps(
            {
                "seconds": seconds,
                "documents": len(set(files.values())),
                "failed": 0,
                "embedded_documents": len({files[node.ref_doc_id] for node in nodes}),
                "chunks": len(nodes),
                "busy": f"reading {reading:.1f} s, cutting and embedding {working - reading:.1f} s, writing {seconds - working:.1f} s",
            }
        )
    )


main()
