"""Reports in Markdown that benches print and, with --write FILE, keep."""
import os
import re


def add_option(parser):
    parser.add_argument("--write", metavar="FILE", help="keep the report in FILE")


def publish(text, path):
    """Prints the report; it becomes the file's content if there is a path."""
    print(text)
    if path:
        replace(path, text)


def publish_section(text, path, marks, heading):
    """Prints the report; if there is a path it takes the place of what lies between the file's two marks. Without them
    they come at the file's end, and without a file below the heading."""
    print(text)
    if not path:
        return
    before = heading
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = file.read()
    section = f"{marks[0]}\n{text}\n{marks[1]}"
    if marks[0] in before:
        between = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
        replace(path, re.sub(between, lambda _: section, before, flags=re.DOTALL))
    else:
        replace(path, before.rstrip() + "\n\n" + section + "\n")


def replace(path, text):
    """Either the old content or the new is there, whatever happens."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)
