"""make check-docs: the words and the program say the same.

Every option, command, counter, message, error and kind of usage must be in
its manual page, and nothing else may be; samples name every option; files
that the tour names exist; examples are run.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import manual
from manual import ROOT

BUILD = ROOT / os.environ.get("BUILD", "build")
wrong = []


def say(text):
    wrong.append(text)
    print("check-docs: " + text)


def source(name):
    """A C file without its comments."""
    return re.sub(r"/\*.*?\*/", "", (ROOT / name).read_text(), flags=re.S)


def compare(what, known, documented, where):
    known, documented = set(known), set(documented)
    for name in sorted(known - documented):
        say(f"{what} {name} is not in {where}")
    for name in sorted(documented - known):
        say(f"{where} has {what} {name}, which there is not")


# ---- what the program has --------------------------------------------------

def hub_options():
    return re.findall(r"^(?:OPTION|TIMEOUT|TLS|ROUTE)\((\w+)",
                      source("hubd/options.def"), re.M)


def agent_options():
    text = source("agentd/agent_options.c")
    tables = re.findall(
        r"struct conf_option \w+\[\] = \{(.*?)^\};", text, re.M | re.S)
    return [n for t in tables for n in re.findall(r'\.name = "(\w+)"', t)]


def commands():
    return re.findall(r'^COMMAND\(\w+, "([a-z ]+)"',
                      source("hubd/commands.def"), re.M)


def metrics():
    text = source("shm/counters.def")
    names = re.findall(r'^(?:COUNTER|HISTOGRAM)\(\w+, "(\w+)"', text, re.M)
    return names + re.findall(r'put_(?:gauge|head)\(\s*out,\s*"(\w+)"',
                              source("hubd/admin/metrics.c"))


def first_of(macro, name):
    return re.findall(rf"^{macro}\((\w+)", source(name), re.M)


def error_codes():
    return re.findall(r'^ERROR\(\w+, \d+, "(\w+)"',
                      source("hubd/api/errors.def"), re.M)


# ---- the pages -------------------------------------------------------------

def documented_commands():
    """The longest beginning of each item that is a command's words."""
    known = sorted(commands(), key=len, reverse=True)
    found = []
    for item in manual.items("hubctl.8", "Ic"):
        text = manual.plain(item)
        found.append(next((c for c in known
                           if (text + " ").startswith(c + " ")), text))
    return found


def words(name, macro, section=None):
    return [w for item in manual.items(name, macro, section)
            for w in re.findall(r"[\w]+", item)]


def check_pages():
    compare("option", hub_options(), words("hubd.conf.5", "Ic"),
            "hubd.conf(5)")
    compare("option", agent_options(), words("agentd.conf.5", "Ic"),
            "agentd.conf(5)")
    compare("command", commands(), documented_commands(), "hubctl(8)")
    compare("metric", metrics(), words("hubd.8", "Dv", "METRICS"), "hubd(8)")
    compare("error", error_codes(), words("hubd.8", "Er"), "hubd(8)")
    compare("message", first_of("MESSAGE", "hubd/hubmsg.def"),
            words("hubdesign.7", "Cm"), "hubdesign(7)")
    compare("kind of usage", first_of("KIND", "shm/usage.def"),
            words("prices.json.5", "Cm"), "prices.json(5)")


def check_link():
    """Fields of the link, and how many streams it carries."""
    text, page = source("common/linkproto.h"), manual.page("hublink.7").lower()
    for field in re.findall(r'LINK_[FH]_\w+\s+"([\w-]+)"', text):
        if not re.search(rf"\b{field.lower()}(?![\w-])", page):
            say(f"field {field} is not in hublink(7)")
    most = re.search(r"LINK_MAX_STREAMS\s+(\d+)", text).group(1)
    if f"at most {most} streams" not in page:
        say(f"hublink(7) does not say that a link has at most {most} streams")


def check_sample(name, known):
    text = (ROOT / "etc" / name).read_text()
    named = re.findall(r"^[\s#]*(\w+)\s*=\s*\S", text, re.M)
    compare("option", known, named, f"etc/{name}")


def check_flags():
    """Options of the command line against each page's SYNOPSIS."""
    for page, main in (("hubd.8", "hubd/main.c"),
                       ("agentd.8", "agentd/main.c"),
                       ("hubctl.8", "hubd/ctl/hubctl.c")):
        if not (ROOT / main).exists():
            print(f"check-docs: {main} is not there: left out")
            continue
        flags = re.search(r'getopt\(argc, argv, "\+?([\w:]+)"',
                          source(main)).group(1).replace(":", "")
        compare("flag", flags, [i[0] for i in manual.items(page, "Fl")], page)


def check_files():
    for page in ("hubdesign.7", "hubshm.7"):
        text = manual.page(page)
        folder = ""
        for path in re.findall(r"^(?:\.Pa|\.It Pa) (\S.*)$", text, re.M):
            for name in path.replace(" ,", "").split():
                name = name.strip(",.:")
                if "/" in name and not name.endswith("/"):
                    folder = name.rsplit("/", 1)[0] + "/"
                full = name if "/" in name else folder + name
                if name.startswith("hubd.") or any(ROOT.glob(full)) or any(
                        ROOT.glob("hubd/" + full)) or any(
                        ROOT.glob("tests/" + full)):
                    continue
                say(f"{page} names {name}, which there is not")


# ---- the examples ----------------------------------------------------------

def run(argv, cwd, expected):
    p = subprocess.run(argv, cwd=cwd, capture_output=True, text=True,
                       timeout=60)
    if p.returncode != expected:
        say(f"example `{' '.join(argv)}' ends with {p.returncode}, not "
            f"{expected}: {p.stderr.strip()}")


def run_command(line, folder):
    """hubctl finds no hub: what it says is that the command was understood."""
    argv = shlex.split(line)
    program = BUILD / argv[0]
    if not program.exists():
        print(f"check-docs: {program} is not built: `{line}' left out")
    elif argv[0] == "hubctl":
        run([str(program), "-f", "norun.conf", *argv[1:]], folder, 3)
    else:
        run([str(program), *argv[1:]], folder, 0)


def at_home(conf, folder):
    """The example with folders that also an ordinary user may make."""
    if os.getuid() == 0:
        return conf
    for key in ("run_dir", "state_dir"):
        conf = re.sub(rf"(?m)^{key}\b.*$", "", conf)
        conf += f'{key} = "{folder}/{key}"\n'
    return conf


def check_examples():
    with tempfile.TemporaryDirectory() as folder:
        there = pathlib.Path(folder)
        there.chmod(0o755)  # hubd may look as the user it runs as
        (there / "norun.conf").write_text(f'run_dir = "{folder}/none"\n')
        shutil.copy(ROOT / "etc" / "prices.json", there)
        (there / "hubd.conf").write_text(
            at_home(manual.examples("hubd.conf.5")[0], folder))
        (there / "agentd.conf").write_text(
            manual.examples("agentd.conf.5")[0])
        for name in ("hubd.8", "agentd.8", "hubctl.8"):
            for line in manual.commands(name):
                run_command(line, there)
        # the same checks with the price file of its page
        (there / "prices.json").write_text(
            manual.examples("prices.json.5")[0])
        for line in manual.commands("hubd.8"):
            run_command(line, there)


def main():
    check_pages()
    check_sample("hubd.conf", hub_options())
    check_sample("agentd.conf", agent_options())
    check_flags()
    check_link()
    check_files()
    check_examples()
    sys.exit(1 if wrong else 0)


main()
