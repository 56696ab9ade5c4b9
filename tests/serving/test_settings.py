"""Settings: where they come from, and that each is documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from auricle.serving.hosts import host_name
from auricle.serving.settings import Settings


def test_every_setting_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"| `AURICLE_{name.upper()}` |" in page
        assert field.description in page


def test_lists_have_commas_and_keys_stay_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURICLE_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("AURICLE_API_KEYS", "very-secret-key")
    settings = Settings()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert "very-secret-key" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "hosts"),
    [("127.0.0.1", ("localhost", "127.0.0.1", "[::1]")), ("0.0.0.0", ("*",))],
)
def test_a_private_server_answers_to_private_names_only(host: str, hosts: tuple[str, ...]) -> None:
    assert Settings(host=host).hosts == hosts
    assert Settings(host=host, allowed_hosts=("x.example",)).hosts == ("x.example",)


@pytest.mark.parametrize(("header", "name"), [("A:80", "a"), ("[::1]:8000", "[::1]"), ("[::1]", "[::1]"), ("b", "b")])
def test_a_host_is_read_without_its_port(header: str, name: str) -> None:
    assert host_name(header) == name
