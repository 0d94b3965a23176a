"""Source code, by the lines that only programs hold, and the licence it says it is under.

The value is the token that a line of code names, the words of the language before it are context. One line is a hint; a
policy that asks for `code` asks whether there is any. Precision comes first: prose about code is not code.
"""

from magistrate.classify.rule import Rule

_BOL = r"(?:\A|[\n\x00])[ \t]{0,24}"
"""The beginning of a line, indented: behind a line end, or where a part of an exchange begins."""


def _code(language: str, trigger: str, pattern: str, good: tuple[str, ...], bad: tuple[str, ...]) -> Rule:
    return Rule(
        f"code.{language}",
        f"code.{language}",
        trigger,
        pattern,
        priority=1,
        score_milli=800,
        reach=192,
        ahead=192,
        begins="[\n\0]" if pattern.startswith(_BOL) else "",
        good=good,
        bad=bad,
    )


SOURCES: tuple[Rule, ...] = (
    _code(
        "python", r"def \w{1,64}\(|from [\w.]{1,64} import|if __name__|import \w{1,32} as ",
        rf"{_BOL}(?:(?:async )?def (?P<v>[A-Za-z_]\w{{0,60}}\()|from [\w.]{{1,60}} import (?P<w>[(\w*]\w{{0,60}})|if (?P<x>__name__)|import [\w.]{{1,60}} as (?P<y>\w{{1,60}}))",
        ("\ndef «main(»argv):", "from os import «path»", "async def «run(»self):", "if «__name__» == '__main__':"),
        ("by def main we mean", "taxes from Rome import duties", "we define(x)"),
    ),
    _code(
        "javascript", r"function \w{0,64}\(|(?:const|let|var) [\w{} ,\[\]]{1,80}=|\) ?=> ?[{(]|module\.exports|require\(",
        rf"{_BOL}(?:(?:export )?(?:default )?(?:async )?function (?P<v>[A-Za-z_$][\w$]{{0,60}}\()|(?:export )?(?:const|let|var) [\w$]{{1,60}} ?(?P<w>=)(?!=)|(?:export )?(?:const|let|var) \{{[\w ,:$]{{1,80}}\}} ?(?P<x>=)|(?P<y>module\.exports))",
        ("function «add(»a, b) {", "const answer «=» 42;", "export async function «load(»url) {"),
        ("let x be a number = 3", "the function add(a)", "a const int = 3 in words"),
    ),
    _code(
        "c", r"#include ?[<\"]|#define \w|int main\(",
        rf"{_BOL}(?:#include ?(?P<v>[<\"][\w./+-]{{1,80}}[>\"])|#define (?P<w>[A-Z_]\w{{0,60}})|(?:static |unsigned |const )?(?:int|void|char|size_t) \*?(?P<x>main\())",
        ("#include «<stdio.h>»", "#define «MAX_LEN» 10", "int «main(»int argc, char **argv)"),
        ("# include this", "#defined", "an int main road"),
    ),
    _code(
        "java", r"(?:public|private|protected) (?:static |final |abstract |async |override |class |interface |void |\w{1,40} ){1,4}\w|import (?:static )?(?:java|javax|org|com|android|kotlin)\.|using System",
        rf"{_BOL}(?:(?:public|private|protected) (?:(?:static|final|abstract|async|override|sealed|partial) ){{0,3}}(?:class|interface|enum|record) (?P<v>[A-Z]\w{{0,60}})|(?:public|private|protected) (?:(?:static|final|abstract|async|override) ){{0,3}}[\w<>\[\],.]{{1,60}} (?P<w>[A-Za-z_]\w{{0,60}}\()|import (?:static )?(?P<x>(?:java|javax|org|com|android|kotlin)\.[\w.*]{{1,80}};)|using (?P<y>System[\w.]{{0,60}};))",
        ("public class «Person» {", "  private static int «count(»List<String> x)", "import «java.util.List;»"),
        ("public interest is high", "private clubs (many)", "the public static"),
    ),
    _code(
        "go", r"func \(?\w|package \w{1,40}\n",
        rf"{_BOL}(?:func (?:\(\w{{1,20}} \*?[\w.\[\]]{{1,60}}\) )?(?P<v>[A-Za-z_]\w{{0,60}}\()|package (?P<w>[a-z]\w{{0,40}})(?=\n))",
        ("func «main(») {", "func (s *Server) «Close(») error {", "package «main»\n\nimport"),
        ("the func is", "the package tour\nis", "a package deal"),
    ),
    _code(
        "rust", r"fn \w{1,64}[(<]|impl[< ]|use \w{1,40}::|pub (?:fn|struct|enum|mod|use) ",
        rf"{_BOL}(?:(?:pub(?:\(crate\))? )?(?:async )?(?:unsafe )?fn (?P<v>[a-z_]\w{{0,60}}[(<])|(?:pub )?use (?P<w>\w{{1,40}}::[\w:{{}}, *]{{0,80}};)|pub (?:struct|enum|mod|trait) (?P<x>\w{{1,60}}))",
        ("fn «main(») {", "pub fn «parse<»T>(x: T)", "use «std::collections::HashMap;»"),
        ("use :: twice", "fn key", "the pub struct down"),
    ),
    _code(
        "sql", r"select [^\x00;]{1,120}from|insert into [\w.\"`]{1,60}|create (?:or replace )?(?:table|view|index|function|procedure)|alter table|update [\w.\"`]{1,60}",
        r"(?<![A-Za-z])(?:INSERT INTO (?P<v>[\w.\"`\[\]]{1,60}(?: ?\(|(?= VALUES)))|(?i:CREATE (?:OR REPLACE )?(?:TEMP(?:ORARY)? )?(?:TABLE|VIEW|INDEX|FUNCTION|PROCEDURE)) (?:IF NOT EXISTS )?(?P<w>[\w.\"`\[\]]{1,60} ?\()|SELECT [\w*.,\s()\"'`]{1,120}?FROM (?P<x>[\w.\"`\[\]]{1,60})|ALTER TABLE (?P<y>[\w.\"`\[\]]{1,60})|UPDATE (?P<z>[\w.\"`\[\]]{1,60}) SET)",
        ("SELECT id, name FROM «users» WHERE", "INSERT INTO «accounts (»id) VALUES", "CREATE TABLE «person (»", "ALTER TABLE «person» ADD"),
        ("select one from the list", "insert into the slot", "update your records"),
    ),
    _code(
        "shell", r"#!/|\$ (?:sudo|apt|pip|npm|git|docker|kubectl|curl)",
        rf"{_BOL}(?:#!(?P<v>/(?:usr/)?bin/(?:env )?[a-z0-9.]{{2,12}})|(?:\$ )(?P<w>(?:sudo|apt-get|pip|npm|git|docker|kubectl|curl))(?= ))",
        ("#!«/bin/bash»\nset -e", "#!«/usr/bin/python3»", "\n$ «kubectl» get pods"),
        ("shebang #! is", "paid $ git", "bin/bash"),
    ),
    Rule(
        "code.licence", "code.licence", r"SPDX-License-Identifier:|licensed under the (?:apache|mit|bsd|gnu|mozilla)",
        r"(?:SPDX-License-Identifier:[ \t]{0,3}(?P<v>[A-Za-z0-9.+-]{2,60})|(?i:licensed under the )(?P<w>Apache|MIT|BSD|GNU|Mozilla))(?![A-Za-z0-9])",
        priority=1, score_milli=900,
        good=("// SPDX-License-Identifier: «Apache-2.0»", "Licensed under the «Apache» License", "# SPDX-License-Identifier: «MIT»"),
        bad=("SPDX", "licensed under the bridge", "license identifier"),
    ),
)  # fmt: skip
