"""FAISS over files of PDQ hashes, 32 bytes each: one thread, every hash within
31 bits. Prints JSON: seconds of searching and how many hits there were."""
import json, sys, time
import numpy as np
import faiss

known_file, query_file, mode, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
faiss.omp_set_num_threads(1)
known = np.fromfile(known_file, dtype=np.uint8).reshape(-1, 32)
queries = np.fromfile(query_file, dtype=np.uint8).reshape(-1, 32)[:count]
index = faiss.IndexBinaryFlat(256)
index.add(known)
began, hits = time.perf_counter(), 0
if mode == "single":
    for i in range(len(queries)):
        hits += int(index.range_search(queries[i:i + 1], 32)[0][-1])  # below 32 bits
else:
    hits = int(index.range_search(queries, 32)[0][-1])
print(json.dumps({"Count": len(queries), "Seconds": time.perf_counter() - began, "Hits": hits}))
