"""Runs every check_*.py beside this file, or of the folder named, a few at a time, and sums up."""
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

here = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))


def run(path):
    done = subprocess.run([sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
    return path, done.returncode, done.stdout.decode(errors="replace")


passed = failed = 0
with ThreadPoolExecutor(max_workers=3) as pool:
    for path, code, text in pool.map(run, sorted(glob.glob(os.path.join(here, "check_*.py")))):
        counts = re.findall(r"^(\d+) passed, (\d+) failed$", text, re.M)
        print(f"== {os.path.basename(path)}\n{text.rstrip()}", flush=True)
        if counts:
            passed += int(counts[-1][0])
            failed += int(counts[-1][1])
        elif code != 0:
            failed += 1
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
