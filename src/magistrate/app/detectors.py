"""From what `magistrate.yaml` says of detectors to detectors: the scanner and those that are asked over HTTP."""

from collections.abc import Callable, Iterator
from pathlib import Path

from magistrate.adapters.detectors.remote import Remote, RemoteDetector
from magistrate.app.settings import Config, DetectorSetting, DictionarySetting, PatternSetting
from magistrate.classify.custom import Pattern, PatternMatcher
from magistrate.classify.dictionary import Dictionary, DictionaryMatcher, opens, read
from magistrate.classify.links import LINKS, link_rule
from magistrate.classify.rules import RULES
from magistrate.classify.scanner import Matcher, Scanner
from magistrate.exchange.errors import ConfigurationError

MOST_BYTES = 1 << 30
BUILT_IN = frozenset(rule.id for rule in RULES) | {"card", "always-on"}


def scanner_maker(settings: DetectorSetting) -> Callable[[], Scanner]:
    """Return what makes a scanner: of the built-in rules and those of the configuration. One serves one thread.

    Raises:
        ConfigurationError: a pattern or a dictionary cannot be used.
    """
    rules = RULES
    if settings.trusted_hosts:
        rules = tuple(link_rule(settings.trusted_hosts) if rule in LINKS else rule for rule in RULES)
    patterns = [_pattern(each) for each in settings.patterns]
    dictionaries = [(each, _dictionary(each)) for each in settings.dictionaries]

    def make() -> Scanner:
        matchers: list[Matcher] = [PatternMatcher(patterns)] if patterns else []
        matchers += [
            DictionaryMatcher(each.id, each.label, dictionary, each.key.reveal().encode())
            for each, dictionary in dictionaries
        ]
        return Scanner(rules, matchers=matchers)

    return make


def remote_detectors(settings: DetectorSetting) -> tuple[RemoteDetector, ...]:
    """Return the detectors that are asked over HTTP."""
    return tuple(
        RemoteDetector(
            Remote(
                each.id,
                each.url,
                each.timeout_s,
                each.on_failure,
                each.streams,
                each.token.reveal() if each.token else "",
            )
        )
        for each in settings.remote
    )


def own_labels(config: Config) -> frozenset[str]:
    """Return the labels that detectors of the configuration give; those of remote ones are not known."""
    settings = config.detectors
    return frozenset(each.label for each in settings.patterns) | {
        each.label for each in settings.dictionaries
    }


def problems(settings: DetectorSetting, base: Path) -> Iterator[tuple[str, str]]:
    """Yield place and reason of what is wrong with detectors; relative files stand on ``base``."""
    seen: set[str] = set()
    for block in ("patterns", "dictionaries", "remote"):
        for index, each in enumerate(getattr(settings, block)):
            place = f"detectors.{block}[{index}]"
            if each.id in seen or each.id in BUILT_IN:
                yield f"{place}.id", f"`{each.id}` is already taken; detectors are told apart by id"
            seen.add(each.id)
            try:
                if isinstance(each, PatternSetting):
                    PatternMatcher([_pattern(each)])
                elif isinstance(each, DictionarySetting):
                    _dictionary(each, base)
            except ConfigurationError as error:
                field = "pattern" if isinstance(each, PatternSetting) else error.place or "file"
                yield f"{place}.{field}", error.message


def _pattern(setting: PatternSetting) -> Pattern:
    return Pattern(
        setting.id, setting.label, setting.pattern, setting.ignore_case, round(setting.score * 1000)
    )


def _dictionary(setting: DictionarySetting, base: Path = Path()) -> Dictionary:
    path = base / Path(setting.file).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"`{path}` cannot be read ({error.strerror})", "file") from None
    dictionary = read(data, "file")
    key = setting.key.reveal()
    if key and not opens(dictionary, key.encode()):
        raise ConfigurationError(f"is not the key that `{path}` was made with", "key")
    return dictionary
