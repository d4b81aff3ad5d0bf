"""Pictures as a browser sees them: Chromium decodes every pixel that was encoded."""

import base64
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from app.serving import images

SIZES = (8, 9, 28, 64, 256)
PAGE = """<!doctype html><body>%s<script>
window.onload = () => {  // once every image has been decoded
  const found = [...document.images].map(image => {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    pixels.forEach((value, place) => { sum = (sum * 31 + value + place) %% 1000003; });
    return [canvas.width, canvas.height, sum];
  });
  document.body.textContent = "found " + JSON.stringify(found) + " end";
};
</script></body>"""


def digest(picture: images.Pixels) -> int:
    """Fold pixels (H, W, C) into a number, as the page does with red, green, blue and alpha."""
    colors = np.broadcast_to(picture, (*picture.shape[:2], 3))
    flat = np.concatenate([colors, np.full((*picture.shape[:2], 1), 255, np.uint8)], axis=2).ravel()
    total = 0
    for place, value in enumerate(flat.tolist()):
        total = (total * 31 + value + place) % 1000003
    return total


@pytest.mark.integration
@pytest.mark.parametrize("encode", [images.png, images.webp], ids=["png", "webp"])
def test_a_browser_sees_what_was_drawn(chromium: str, tmp_path: Path, encode: object) -> None:
    random = np.random.default_rng(0)
    drawn = [random.integers(0, 256, (size, size, channels), np.uint8) for size in SIZES for channels in (1, 3)]
    kind = "png" if encode is images.png else "webp"
    coded = [base64.b64encode(encode(each)).decode() for each in drawn]  # type: ignore[operator]
    page = tmp_path / "page.html"
    page.write_text(PAGE % "".join(f'<img src="data:image/{kind};base64,{each}">' for each in coded))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [chromium, *options, profile, page.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    told = re.search(r"found (.*) end", seen.stdout)
    assert told, seen.stderr[-2000:]
    assert json.loads(told[1]) == [[*each.shape[:2], digest(each)] for each in drawn]
