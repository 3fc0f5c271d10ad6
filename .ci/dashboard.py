"""dashboard.py DASHBOARD: the queries of a Grafana dashboard as a rule file, so that promtool can read them."""

import json
import pathlib
import sys


def main(dashboard):
    dashboard = json.loads(pathlib.Path(dashboard).read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    # what Grafana puts in by itself
    queries = [query.replace("$__rate_interval", "1m") for query in queries]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
