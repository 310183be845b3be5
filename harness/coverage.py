#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: coverage.py INFO REASONS

Judges what lcov has counted, in TAP: the share of lines and of branches, and for each
function that was not run whole, what is missing and why. A reason is a line of REASONS,
"file function: reason". One that begins with "never" says that what is missing cannot be
run on User-Mode Linux at all: its branches are not asked for. Both shares are printed."""

import bisect
import glob
import os
import sys
from collections import defaultdict

WANTED = {'lines': 95, 'branches': 90}
n = bad = 0


def result(ok, text):
    global n, bad
    n += 1
    bad += not ok
    print(f"{'ok' if ok else 'not ok'} {n} - {text}")


def read(info):
    """{file: (functions by line, hits of lines, hits of branches by line)}"""
    files = {}
    for line in open(info):
        tag, _, rest = line.strip().partition(':')
        if tag == 'SF':
            functions, lines, branches = {}, {}, defaultdict(list)
            files[os.path.basename(rest)] = functions, lines, branches
            source = open(rest).read().split('\n')
        elif tag == 'FN':
            fields = rest.split(',')
            functions[int(fields[0])] = fields[-1]
        elif tag == 'DA':
            where, hits = rest.split(',')[:2]
            lines[int(where)] = int(hits)
        elif tag == 'BRDA':
            where, _, _, hits = rest.split(',')
            branches[int(where)].append(0 if hits == '-' else int(hits))
        elif tag == 'end_of_record':
            lines['source'] = source
    return files


def ranges(numbers):
    out = []
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ', '.join(f'{a}' if a == b else f'{a}-{b}' for a, b in out)


def main():
    files = read(sys.argv[1])
    reasons = {}
    for line in open(sys.argv[2]):
        if line.strip() and not line.startswith('#'):
            where, _, why = line.strip().partition(': ')
            reasons[tuple(where.split())] = why

    for path in glob.glob('kernel/dma/rmem_heap*.c'):
        if os.path.basename(path) not in files:
            result(False, f'{path}: nothing of it was counted')

    never = 0
    used = set()
    total = {'lines': [0, 0], 'branches': [0, 0]}
    for name, (functions, lines, branches) in sorted(files.items()):
        source = lines.pop('source')
        starts = sorted(functions)
        here = {'lines': [0, 0], 'branches': [0, 0]}
        missing = defaultdict(lambda: ([], []))
        untaken = defaultdict(int)

        def function(line):
            at = bisect.bisect_right(starts, line)
            return functions[starts[at - 1]] if at else '-'

        for line, hits in lines.items():
            here['lines'][0] += hits > 0
            here['lines'][1] += 1
            if not hits:
                missing[function(line)][0].append(line)
        for line, hits in branches.items():
            here['branches'][0] += sum(h > 0 for h in hits)
            here['branches'][1] += len(hits)
            untaken[function(line)] += hits.count(0)
            if min(hits) == 0 and lines.get(line, 1):
                missing[function(line)][1].append(line)
        for what, (hit, of) in here.items():
            total[what][0] += hit
            total[what][1] += of
        print(f'# {name}: ' + ', '.join(f'{hit} of {of} {what}' for what, (hit, of) in
                                        here.items()))
        for func, (gone, half) in missing.items():
            why = reasons.get((name, func))
            if why and why.startswith('never'):
                never += untaken[func]
            used.add((name, func))
            result(why is not None, f"{name} {func}: {why or 'no reason why not all of it runs'}")
            for kind, numbers in (('not run', gone), ('one way only', half)):
                if numbers:
                    print(f'#   {kind}: {ranges(sorted(numbers))}')
                for number in sorted(numbers) if why is None else []:
                    print(f'#     {number}: {source[number - 1].strip()}')

    print(f'# {100 * total["branches"][0] / total["branches"][1]:.1f} percent of '
          f'{total["branches"][1]} branches; {never} of them can never be taken here')
    total['branches'][1] -= never
    for what, (hit, of) in total.items():
        share = 100 * hit / max(of, 1)
        result(share >= WANTED[what], f'{share:.1f} percent of {of} {what}, wanted '
               f'{WANTED[what]}')
    for name, func in reasons.keys() - used:
        result(False, f'{name} {func}: has a reason, but all of it runs or it is gone')
    print(f'1..{n}')
    sys.exit(bad > 0)


main()
