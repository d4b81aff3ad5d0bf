"""Archives of more images than are held at once: drawn and packed part by part, while what is ready is sent."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from app.serving import images, wrappings
from app.serving.drawings import Drawing, Drawn, Format, draw_together
from app.serving.generators import Generator
from app.serving.graphs import GENERATOR, Graphs
from app.serving.noises import Seeded

PART = 64  # images


class Sink:
    """Where an archive is written that nobody can go back in; `take` hands over what has been written since."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Keep a piece."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: what is written is there."""

    def take(self) -> bytes:
        """Return all pieces, and forget them."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def pieces(drawing: Drawing, graphs: Graphs) -> Iterator[bytes]:
    """Yield a zip or npz of any number of images, none of it empty; raise as `Drawing.draw` does, also in its midst.

    Memory is that of one part, and for a zip the list of its files, some 900 bytes each.
    """
    write = WRITERS[drawing.wish.format]
    sink = Sink()
    with zipfile.ZipFile(sink, "w") as packed:  # type: ignore[call-overload]  # anything that can be written to
        for _ in write(packed, drawing, parts(drawing, graphs)):
            if piece := sink.take():  # what is compressed may wait for more
                yield piece
    yield sink.take()


def parts(drawing: Drawing, graphs: Graphs) -> Iterator[tuple[Drawing, Drawn]]:
    """Draw so many images at a time; the network stays at hand, whatever becomes of its file."""
    noise = drawing.wish.noise
    assert isinstance(noise, Seeded)  # so many images have seeds
    generator = Generator(graphs.open(drawing.job.id, drawing.checkpoint, GENERATOR))
    for first in range(0, drawing.wish.count, PART):
        some = slice(first, first + PART)
        wish = replace(drawing.wish, noise=replace(noise, keys=noise.keys[some]), labels=drawing.wish.labels[some])
        part = replace(drawing, wish=wish, labels=None if drawing.labels is None else drawing.labels[some])
        yield part, part.draw(graphs) if part.is_filtered else draw_together([part], generator)[0]


Parts = Iterator[tuple[Drawing, Drawn]]


def _write_zip(packed: zipfile.ZipFile, drawing: Drawing, drawn: Parts) -> Iterator[None]:
    for part, some in drawn:
        for name, png in wrappings.pngs(part, some):
            packed.writestr(images.entry(name), png)
        yield


def _write_npz(packed: zipfile.ZipFile, drawing: Drawing, drawn: Parts) -> Iterator[None]:
    card = drawing.card
    shape = (drawing.wish.count, card.size, card.size, card.channels)
    with packed.open(images.entry("images.npy"), "w", force_zip64=True) as target:
        facts = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, facts)
        for _, some in drawn:
            target.write(np.ascontiguousarray(some.array).data)
            yield
    for name, array in wrappings.beside(drawing).items():
        packed.writestr(images.entry(f"{name}.npy"), images.array(array))
    yield


WRITERS: Mapping[Format, Callable[[zipfile.ZipFile, Drawing, Parts], Iterator[None]]] = {
    Format.ZIP: _write_zip,
    Format.NPZ: _write_npz,
}
