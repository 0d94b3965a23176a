"""What inspects content: the rules, and the trained models that the configuration asks for."""

from importlib import resources

from magistrate.adapters.detectors.always_on import AlwaysOn
from magistrate.adapters.detectors.models import INLINE_CHARACTERS, WithModels
from magistrate.app.detectors import remote_detectors, scanner_maker
from magistrate.app.settings import Config, InspectionSetting
from magistrate.classify.artefact import Artefact, BrokenArtefact, read
from magistrate.classify.entities import Entities
from magistrate.classify.languages import Languages
from magistrate.classify.model_tier import Model, ModelTier
from magistrate.classify.threats import Threats
from magistrate.classify.unsafe import Unsafe
from magistrate.exchange.errors import ConfigurationError

RULES_DEADLINE_S = 2.0
INLINE_WITH_NAMES = 500
"""Characters; the model of names takes some 2 ms for them, and more than that goes to a thread."""


Inspecting = AlwaysOn | WithModels
"""What answers the `Classifier` port and is closed at the end."""


def classifier_of(config: Config) -> Inspecting:
    """Return the classifier that ``config`` describes.

    Raises:
        ConfigurationError: a detector of the reader's own cannot be used, or a model inside the installed package is
            missing or was changed.
    """
    rules = AlwaysOn(
        scanner_maker(config.detectors),
        deadline_s=RULES_DEADLINE_S,
        remotes=remote_detectors(config.detectors),
    )
    if config.inspection.model_tier == "off":
        return rules
    return WithModels(
        rules,
        model_tier(config.inspection),
        deadline_s=config.inspection.deadline_ms / 1000,
        answers=config.inspection.answers == "on",
        inline=INLINE_WITH_NAMES if config.inspection.entities == "on" else INLINE_CHARACTERS,
    )


def model_tier(setting: InspectionSetting) -> ModelTier:
    """Return the models, ready to judge.

    Raises:
        ConfigurationError: a model inside the installed package is missing or was changed.
    """
    own = setting.thresholds
    models: list[Model] = [
        Threats(
            artefact("threats"),
            false_positives="1" if setting.sensitivity == "high" else "0.5",
            threshold_milli=own.threats,
        )
    ]
    if setting.entities == "on":
        models.append(Entities(artefact("entities"), threshold_milli=own.entities))
    if setting.languages == "on":
        models.append(Languages(artefact("languages")))
    if setting.unsafe == "on":
        models.append(Unsafe(artefact("unsafe"), threshold_milli=own.unsafe))
    return ModelTier(models)


def artefact(name: str) -> Artefact:
    """Return the model ``name`` that ships with Magistrate.

    Raises:
        ConfigurationError: it is missing or was changed.
    """
    place = resources.files("magistrate.classify") / "artefacts" / f"{name}.model"
    try:
        return read(place.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", str(place)) from None
    except BrokenArtefact as error:
        raise ConfigurationError(f"{error}; install Magistrate again", str(place)) from None
