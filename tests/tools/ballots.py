#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ballots.py: bills and the ballots cast on them, as many as wanted, the same for the same seed.

    python3 tests/tools/ballots.py --seed 7 bills 100000 > bills.csv
    python3 tests/tools/ballots.py --seed 7 --bills 100000 ballots 1000000 > ballots.csv

Files as the data API imports them. DEFINITIONS are the collections they belong to: a ballot names its
bill by its number, so that the two files can be made and sent by themselves."""
import argparse
import random
import sys

STATUSES = ["draft", "open", "passed", "failed"]
TOPICS = ["water", "air", "land", "forests", "fisheries", "energy", "housing", "health", "schools", "roads"]
VERBS = ["protect", "fund", "repeal", "extend", "regulate", "review"]

RULES = """package collection
read if input.actor.signed_in
create if input.actor.role == "admin"
update if input.actor.role == "admin"
delete if input.actor.role == "admin"
"""
DEFINITIONS = [
    {"name": "bills", "rules": RULES, "indexes": [{"fields": ["status", "votes"]}], "fields": [
        {"name": "number", "type": "integer", "required": True, "unique": True},
        {"name": "title", "type": "text", "required": True, "max": 300},
        {"name": "status", "type": "select", "values": STATUSES, "required": True},
        {"name": "votes", "type": "integer", "default": 0, "index": True},
        {"name": "opened", "type": "date-time", "index": True}]},
    {"name": "ballots", "rules": RULES, "indexes": [{"fields": ["bill", "choice"]}], "fields": [
        {"name": "bill", "type": "integer", "required": True},
        {"name": "voter", "type": "integer", "required": True, "index": True},
        {"name": "choice", "type": "select", "values": ["yes", "no", "abstain"], "required": True}]},
]


def bills(seed, count):
    r = random.Random(seed)
    yield "number,title,status,votes,opened"
    for n in range(1, count + 1):
        opened = f"20{r.randint(10, 29)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}T{r.randint(0, 23):02}:00:00Z"
        yield (f"{n},A bill to {r.choice(VERBS)} {r.choice(TOPICS)} and {r.choice(TOPICS)} no. {n},"
               f"{r.choice(STATUSES)},{r.randint(0, 5000)},{opened}")


def ballots(seed, count, bill_count):
    r = random.Random(seed + 1)
    yield "bill,voter,choice"
    for _ in range(count):
        yield f"{r.randint(1, bill_count)},{r.randint(1, 200000)},{r.choice(['yes', 'no', 'abstain'])}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--bills", type=int, default=100000, help="how many bills there are to vote on")
    p.add_argument("what", choices=["bills", "ballots"])
    p.add_argument("count", type=int)
    o = p.parse_args()
    rows = bills(o.seed, o.count) if o.what == "bills" else ballots(o.seed, o.count, o.bills)
    for row in rows:
        sys.stdout.write(row + "\n")


if __name__ == "__main__":
    main()
