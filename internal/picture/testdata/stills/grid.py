"""Makes a HEIC picture that is a grid, of tiles that heif-enc made one by one:
grid.py OUT COLUMNS ROWS WIDTH HEIGHT PROPERTY… -- TILE…
A property is irot=N, imir=N, or clap=W,H,X,Y (a rectangle). For a grid of one
tile without a grid give 0 columns."""
import struct
import sys


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def full(kind, version_and_flags, *parts):
    return box(kind, struct.pack(">I", version_and_flags), *parts)


def children(b, skip=0):
    at = skip
    while at + 8 <= len(b):
        size, kind = struct.unpack(">I4s", b[at : at + 8])
        yield kind.decode(), b[at + 8 : at + size]
        at += size


def find(b, *path):
    for kind, body in children(b, 4 if path[0] in ("iloc", "iprp") else 0):
        if kind == path[0]:
            return body if len(path) == 1 else find(body, *path[1:])


def tile(name):
    """The configuration, the extent and the first item of a file of heif-enc."""
    b = open(name, "rb").read()
    iloc = find(b, "meta", "iloc")
    base, _, at, size = struct.unpack(">IHII", iloc[12:26])
    at += base
    properties = find(b, "meta", "iprp", "ipco")
    return find(properties, "hvcC"), find(properties, "ispe"), b[at : at + size]


def shown(text, width, height):
    kind, _, value = text.partition("=")
    if kind == "clap":
        w, h, x, y = map(int, value.split(","))
        return box("clap", struct.pack(">IIIIiIiI", w, 1, h, 1, 2 * x + w - width, 2, 2 * y + h - height, 2))
    return box(kind, bytes([int(value)]))


def main(out, columns, rows, width, height, *rest):
    columns, rows, width, height = int(columns), int(rows), int(width), int(height)
    split = rest.index("--")
    tiles = [tile(t) for t in rest[split + 1 :]]
    config, extent, _ = tiles[0]
    assert all(t[0] == config and t[1] == extent for t in tiles)
    n = len(tiles)
    grid = n + 1 if columns else 1
    hidden = 1 if columns else 0  # a flag
    items = [full("infe", 2 << 24 | hidden, struct.pack(">HH4sx", i + 1, 0, b"hvc1")) for i in range(n)]
    properties = [box("hvcC", config), box("ispe", extent), full("ispe", 0, struct.pack(">II", width, height))]
    properties += [shown(p, width, height) for p in rest[:split]]
    links = {i + 1: [0x81, 2] for i in range(n)}
    turns = [0x84 + i for i in range(len(properties) - 3)]
    idat = iref = b""
    if columns:
        items.append(full("infe", 2 << 24, struct.pack(">HH4sx", grid, 0, b"grid")))
        idat = box("idat", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height))
        iref = full("iref", 0, box("dimg", struct.pack(">HH", grid, n), b"".join(struct.pack(">H", i + 1) for i in range(n))))
        links[grid] = [3]
    links[grid] += turns
    ipma = full("ipma", 0, struct.pack(">I", len(links)), b"".join(struct.pack(">HB", i, len(l)) + bytes(l) for i, l in links.items()))

    def meta(at):
        iloc = b""
        for i, (_, _, data) in enumerate(tiles):
            iloc += struct.pack(">HHHHII", i + 1, 0, 0, 1, at, len(data))
            at += len(data)
        if columns:
            iloc += struct.pack(">HHHHII", grid, 1, 0, 1, 0, 8)
        return full(
            "meta", 0,
            full("hdlr", 0, struct.pack(">4x4s13x", b"pict")),
            full("pitm", 0, struct.pack(">H", grid)),
            full("iloc", 1 << 24, b"\x44\x00", struct.pack(">H", len(links)), iloc),
            full("iinf", 0, struct.pack(">H", len(items)), *items),
            box("iprp", box("ipco", *properties), ipma),
            iref, idat,
        )

    ftyp = box("ftyp", b"heic\x00\x00\x00\x00mif1heic")
    head = len(ftyp) + len(meta(0)) + 8
    with open(out, "wb") as f:
        f.write(ftyp + meta(head) + box("mdat", *(t[2] for t in tiles)))


main(*sys.argv[1:])
