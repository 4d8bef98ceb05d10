"""Words in the officer's language: gettext catalogues, dates, Jinja2 with safe direction.

The catalogues are read from their .po files, so no build step stands between them and a card.
"""

import functools
from datetime import datetime
from importlib import resources
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from rabta_contract.text import isolate

LANGUAGES = ("en", "ur")
LOCALES = {"en": "en_GB", "ur": "ur_PK"}
DATE_PATTERN = {"en": "d MMMM yyyy, HH:mm", "ur": "d MMMM yyyy، HH:mm"}


@functools.cache
def translations(language: str) -> Translations:
    """The catalogue of a language; English is what stands in the code."""
    if language == "en":
        return Translations()
    source = resources.files("rabta_bots") / "locale" / language / "bridge.po"
    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def say(language: str, sentence: str, **values: Any) -> str:
    """A sentence in the language, each value cleaned and isolated so that it keeps its order.

    A bare number is not isolated: it keeps its order by itself, and an officer may copy it.

    Args:
        language: `en` or `ur`.
        sentence: The English sentence with `{names}`; it is the key of the catalogue.
        **values: What stands for the names.
    """
    pattern: str = translations(language).gettext(sentence)
    return pattern.format_map({name: _placed(str(value)) for name, value in values.items()})


def _placed(value: str) -> str:
    return value if value.isascii() and value.isdigit() else isolate(value)


def moment(language: str, value: datetime, zone: ZoneInfo) -> str:
    """A date and time as the language writes it, in the office's time zone."""
    text: str = format_datetime(
        value, DATE_PATTERN[language], tzinfo=zone, locale=LOCALES[language]
    )
    return text


@functools.cache
def _environment(language: str, *, html: bool) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=PackageLoader("rabta_bots.cards", "templates"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = translations(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        catalogue.gettext, catalogue.ngettext, newstyle=False
    )
    environment.filters["iso"] = _isolate_html if html else isolate
    return environment


def _isolate_html(value: object) -> Markup:
    return Markup(escape(isolate(str(value))))  # noqa: S704 - escaped right here


def render(language: str, template: str, **values: Any) -> str:
    """A template of the cards in the language; `.html.j2` escapes every value."""
    environment = _environment(language, html=template.endswith(".html.j2"))
    return environment.get_template(template).render(**values).strip()
