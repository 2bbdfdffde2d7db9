"""The photographs behind the demo encoder: where each comes from, its licence, and how to fetch it.

Nothing here is committed. Pictures are taken out of packages that are fetched by name: Debian
packages with `apt-get download` (run `apt-get update` first), unpacked and not installed, and the
installed scikit-image wheel. Decoded pictures are kept in a cache folder.

Weights ship under Apache-2.0, so training uses only pictures in the public domain, under CC0, or
under licences that ask for no more than credit (CC-BY-4.0, BSD-2-Clause), and the card credits them.
Share-alike and GPL pictures are used to measure only: they never touch the weights.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from maclip_export.quality.frames import limit_side
from maclip_runtime.method.pixels import Frame

Split = Literal["train", "held-out"]
CACHE = Path.home() / ".cache" / "maclip-demo-pictures"

LONGEST_SIDE = 1920  # larger originals are soft at the pixel: no reference for sharpness
MINIMUM_TEXTURE = 3.0  # grey levels; see measure_texture
WINDOW = 224


@dataclass(frozen=True)
class Picture:
    """One source picture: `package` and the file's `path` in it, its author, licence and split."""

    name: str
    package: str
    path: str
    author: str
    licence: str
    split: Split


_ENLIGHTENMENT = "usr/share/enlightenment/data/backgrounds"
_LOMIRI = "usr/share/backgrounds"
_PLASMA = "usr/share/wallpapers"
_MATE = "usr/share/backgrounds/mate/nature"


def _list_enlightenment() -> list[Picture]:
    names = (
        "Bamboo God-Rays Green-Maple Lichen-Branches Red-Maple Sea-of-Lanterns Snow-Trees "
        "Spruce-Needles Sunset-Clouds White-Flower Yellow-Flower"
    )
    author = "Carsten Haitzler and the Enlightenment contributors"
    return [
        Picture(
            name.lower(),
            "enlightenment-data",
            f"{_ENLIGHTENMENT}/{name}.edj",
            author,
            "BSD-2-Clause",
            "train",
        )
        for name in names.split()
    ]


def _list_lomiri() -> list[Picture]:
    rows: list[tuple[str, str, str, str, Split]] = [
        ("fig", "Picture_0B_by_freespace", 'Trevor "Freespace"', "CC-BY-4.0", "train"),
        ("brushes", "Picture_1A_by_freespace", 'Trevor "Freespace"', "CC-BY-4.0", "train"),
        ("wine", "Wine_by_Jakkub_Mede", "Jakub Mede", "CC-BY-4.0", "train"),
        ("aitzgorri", "aitzgorri_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "train"),
        ("friends", "friends_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "train"),
        ("life", "life_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "train"),
        ("picos", "picosdeeuropa_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "train"),
        ("sunset", "sunset_by_Aitzol_Berasategi", "Aitzol Berasategi", "CC-BY-4.0", "train"),
        ("seeding", "seeding_by_Clements_Engelhardt", "Clemens Engelhardt", "CC0-1.0", "train"),
        ("bridge", "Bridge_by_Sander_Klootwijk", "Sander Klootwijk", "CC-BY-SA-4.0", "held-out"),
        ("dragonfly", "Dragonfly_by_Bolly", '"Bolly"', "CC-BY-SA-4.0", "held-out"),
        ("clock", "greentock_by_Peter_Nerlich", "Peter Nerlich", "CC-BY-SA-4.0", "held-out"),
    ]
    pictures = [
        Picture(name, "lomiri-wallpapers-16.04", f"{_LOMIRI}/{file}.jpg", author, licence, split)
        for name, file, author, licence, split in rows
    ]
    kleiber = f"{_LOMIRI}/Kleiber_by_Lukas_Baubkus.jpg"
    author, licence = "Lukas Baubkus", "CC-BY-SA-3.0"
    return [
        *pictures,
        Picture("nuthatch", "lomiri-wallpapers-20.04", kleiber, author, licence, "held-out"),
    ]


def _list_desktops() -> list[Picture]:
    plasma = "BytheWater ColdRipple ColorfulCups EveningGlow FallenLeaf Grey OneStandsOut Path"
    mate = [
        ("GreenMeadow", "Timothy Schellhase"),
        ("Dune", "Marco Cogoni"),
        ("RainDrops", '"blackcombwhistler07"'),
        ("FreshFlower", "Jens Ansorg"),
        ("TwoWings", "Charles Barbin"),
    ]
    return [
        Picture(
            name.lower(),
            "plasma-workspace-wallpapers",
            f"{_PLASMA}/{name}/contents/images/2560x1600.jpg",
            "KDE Visual Design Group",
            "GPL-2+",
            "held-out",
        )
        for name in plasma.split()
    ] + [
        Picture(
            name.lower(), "mate-backgrounds", f"{_MATE}/{name}.jpg", author, "GPL-2+", "held-out"
        )
        for name, author in mate
    ]


def _list_scikit_image() -> list[Picture]:
    rows: list[tuple[str, str, str, Split]] = [
        ("astronaut.png", "NASA", "public domain", "held-out"),
        ("coffee.png", "Rachel Michetti", "CC0-1.0", "held-out"),
        ("chelsea.png", "Stefan van der Walt", "CC0-1.0", "held-out"),
        ("rocket.jpg", "SpaceX", "public domain", "held-out"),
        ("camera.png", "Lav Varshney", "CC0-1.0", "train"),
        ("brick.png", "CC0Textures", "CC0-1.0", "train"),
        ("grass.png", "linolafett", "CC0-1.0", "train"),
        ("gravel.png", "CC0Textures", "CC0-1.0", "train"),
    ]
    return [
        Picture(file.split(".")[0], "scikit-image", f"data/{file}", author, licence, split)
        for file, author, licence, split in rows
    ]


PICTURES: tuple[Picture, ...] = (
    *_list_scikit_image(),
    *_list_enlightenment(),
    *_list_lomiri(),
    *_list_desktops(),
)


def load_pictures(split: Split, cache: Path = CACHE) -> dict[str, Frame]:
    """Fetch, decode and return the pictures of a split: name to uint8 [H, W, 3], RGB."""
    return {p.name: _load_picture(p, cache) for p in PICTURES if p.split == split}


def measure_texture(frame: Frame) -> float:
    """Mean absolute difference of horizontally and vertically adjacent luma, in grey levels.

    This is the project's rule for flat pictures: a view below MINIMUM_TEXTURE (3 of 255) has too
    little in it for blur, scaling or a codec to change, so a ladder of severities means nothing
    there. Such windows are left out of training, and a picture is left out of the figures where more
    than half of its windows are such.
    """
    luma = frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    across, down = np.abs(np.diff(luma, axis=1)), np.abs(np.diff(luma, axis=0))
    return float((across.mean() + down.mean()) / 2)


def share_textured(frame: Frame, stride: int = 128) -> float:
    """Share of the frame's 224-pixel windows that pass measure_texture's rule, in [0, 1]."""
    height, width = frame.shape[:2]
    passed = [
        measure_texture(frame[y : y + WINDOW, x : x + WINDOW]) >= MINIMUM_TEXTURE
        for y in range(0, height - WINDOW + 1, stride)
        for x in range(0, width - WINDOW + 1, stride)
    ]
    return float(np.mean(passed))


def _load_picture(picture: Picture, cache: Path) -> Frame:
    key = hashlib.sha256(f"{picture.package}/{picture.path}".encode()).hexdigest()[:12]
    decoded = cache / f"{picture.name}-{key}-{LONGEST_SIDE}.npy"
    if not decoded.exists():
        frame = limit_side(_decode(_find_file(picture, cache)), LONGEST_SIDE)
        cache.mkdir(parents=True, exist_ok=True)
        np.save(decoded, frame)
    loaded: Frame = np.load(decoded)
    return loaded


def _find_file(picture: Picture, cache: Path) -> Path:
    if picture.package == "scikit-image":
        spec = find_spec("skimage")
        if spec is None or spec.origin is None:
            raise SystemExit("scikit-image is not installed: pip install scikit-image")
        return Path(spec.origin).parent / picture.path
    return _unpack_package(picture.package, cache) / picture.path


def _unpack_package(package: str, cache: Path) -> Path:
    """Download a Debian package by name and unpack it under the cache; return the folder."""
    folder = cache / "packages" / package
    if folder.exists():
        return folder
    part = folder.with_name(f"{package}.part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "-q", "download", package], cwd=part, check=True)
        archive = next(part.glob("*.deb"))
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=part, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"cannot fetch {package}: run apt-get update, on Debian 12") from error
    archive.unlink()
    part.rename(folder)
    return folder


def _decode(path: Path) -> Frame:
    data = path.read_bytes()
    if path.suffix == ".edj":
        data = _extract_largest_jpeg(data)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _extract_largest_jpeg(data: bytes) -> bytes:
    """Return the largest JPEG in an Enlightenment theme file, which holds one photo in many sizes."""
    best, most = b"", 0
    start = data.find(b"\xff\xd8\xff")
    while start >= 0:
        try:
            with Image.open(io.BytesIO(data[start:])) as image:
                if image.width * image.height > most:
                    best, most = data[start:], image.width * image.height
        except (OSError, SyntaxError):  # the three bytes occur by chance inside a stream, too
            pass
        start = data.find(b"\xff\xd8\xff", start + 3)
    if not best:
        raise ValueError("no JPEG found in the theme file")
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fetch the demo's pictures and list them.")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    for entry in PICTURES:
        picture_frame = _load_picture(entry, arguments.cache)
        share = share_textured(limit_side(picture_frame, 768))
        size = f"{picture_frame.shape[1]}x{picture_frame.shape[0]}"
        print(
            f"{entry.split:9} {entry.name:16} {size:10} {share:4.0%} textured  "
            f"{entry.licence:13} {entry.package}: {entry.path} ({entry.author})"
        )
