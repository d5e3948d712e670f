"""Draws the request's path as SVG from docs/the-request-path.toml: stages down the middle, timestamps on a rail.

Only the standard library: the layout is a column of boxes, and a drawing library would not know it better. Colours
come from penstock.css, so that the picture follows the page by day and by night.
"""

import re
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

PAGE = "the-request-path"  # the page that the picture's stages lead to
SOURCE = Path(__file__).parents[1] / f"{PAGE}.toml"

# All measures are in the picture's own units; the page scales it to its width.
LEFT, RIGHT = 104, 548  # edges of the stages
MIDDLE = (LEFT + RIGHT) // 2
RAIL = 602  # of the timestamps
MARGINS = (-40, 796)  # the picture's own edges
LINE, PAD, GAP, HEAD = 20, 13, 34, 30
# Frames by their names: which stages they go around, and how far.
FRAMES = {"deadline": ({"deadline", "attempt"}, 26), "attempt": ({"attempt"}, 14)}


def load() -> dict[str, Any]:
    """What the picture says."""
    return tomllib.loads(SOURCE.read_text())


def label(code: str) -> str:
    """How a function is called in the picture: by its name, with its class where that is a part of the story."""
    return re.sub(r"^(Engine|Flight|Service)\.", "", code.partition(":")[2])


def gap(before: dict[str, Any], after: dict[str, Any]) -> int:
    """How far two stages stand apart: room for the pipe, for a frame that ends and for the head of one that begins."""
    room = GAP
    for inside, pad in FRAMES.values():
        ends, begins = before.get("frame") in inside, after.get("frame") in inside
        room += (pad if ends and not begins else 0) + (HEAD if begins and not ends else 0)
    return room


class Drawing:
    """One SVG, in layers: frames at the bottom, then pipes, then what is written."""

    def __init__(self, says: dict[str, Any], at: str) -> None:
        self.says, self.at = says, at
        self.root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "class": "path", "role": "img"})
        self.add(self.root, "title", text=says["title"])
        self.add(self.root, "desc", text=says["description"])
        self.frames, self.pipes, self.stages = (self.add(self.root, "g") for _ in range(3))
        self.tops: dict[str, int] = {}
        self.bottoms: dict[str, int] = {}

    def add(self, parent: ET.Element, tag: str, *, text: str = "", **attributes: object) -> ET.Element:
        """Append an element. `class_` is its class, and underscores in names are dashes."""
        named = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
        element = ET.SubElement(parent, tag, named)
        element.text = text or None
        return element

    def linked(self, section: str) -> ET.Element:
        """A group that leads to a section of the page."""
        return self.add(self.stages, "a", href=f"{self.at}#{section}")

    def stage(self, stage: dict[str, Any], top: int) -> None:
        """Draw a stage whose upper edge is at `top`, with what it stamps beside it."""
        kind, stamps = stage.get("kind", "work"), stage.get("stamps", [])
        height = 2 * PAD + LINE * (1 + len(stage["says"]))
        group = self.linked(stage["section"])
        radius = height // 2 if kind == "end" else 9
        self.add(group, "rect", class_=f"box {kind}", x=LEFT, y=top, width=RIGHT - LEFT, height=height, rx=radius)
        place = {"text_anchor": "middle", "x": MIDDLE} if kind == "end" else {"x": LEFT + 22}
        for number, line in enumerate([label(stage["code"]), *stage["says"]]):
            font = "says" if number else "name"
            self.add(group, "text", class_=f"{font} {kind}", y=top + PAD + 15 + number * LINE, text=line, **place)
        for number, stamp in enumerate(stamps):
            y = top + height // 2 + round((number - (len(stamps) - 1) / 2) * LINE)
            self.add(self.pipes, "line", class_="tick", x1=RIGHT, y1=y, x2=RAIL, y2=y)
            self.add(self.stages, "circle", class_="stamp", cx=RAIL, cy=y, r=4)
            self.add(self.stages, "text", class_="stamp", x=RAIL + 14, y=y + 4, text=stamp)
        self.tops[stage["code"]], self.bottoms[stage["code"]] = top, top + height

    def pipe(self, top: int, bottom: int) -> None:
        """Draw the way from one stage to the next."""
        self.add(self.pipes, "line", class_="pipe", x1=MIDDLE, y1=top, x2=MIDDLE, y2=bottom - 10)
        self.add(self.pipes, "path", class_="tip", d=f"M{MIDDLE - 9},{bottom - 12} h18 l-9,11 z")

    def frame(self, name: str) -> None:
        """Draw the border around the stages that belong together, and say at its upper edge why."""
        inside, pad = FRAMES[name]
        codes = [stage["code"] for stage in self.says["stage"] if stage.get("frame") in inside]
        top, bottom = self.tops[codes[0]] - HEAD, self.bottoms[codes[-1]] + pad
        x, width = LEFT - pad, RIGHT - LEFT + 2 * pad
        self.add(self.frames, "rect", class_=f"frame {name}", x=x, y=top, width=width, height=bottom - top, rx=14)
        says = self.says["frames"][name]["says"]
        self.add(self.frames, "text", class_="frame", x=x + width - 14, y=top + 20, text=says, text_anchor="end")

    def again(self, again: dict[str, Any]) -> None:
        """Draw the way back from a failed attempt, and say when it is taken."""
        low, high = self.bottoms[again["from"]] - 24, self.tops[again["to"]] + 24
        x, r = LEFT - 54, 14
        bend = f"M{LEFT},{low} H{x + r} q{-r},0 {-r},{-r} V{high + r} q0,{-r} {r},{-r} H{LEFT - 9}"
        self.add(self.pipes, "path", class_="again", d=bend)
        self.add(self.pipes, "path", class_="again tip", d=f"M{LEFT - 12},{high - 7} v14 l11,-7 z")
        group = self.linked(again["section"])
        lines = [label(again["code"]), *again["says"]]
        first = (low + high) // 2 - (len(lines) - 1) * 17 // 2
        for number, line in enumerate(lines):
            font = "says" if number else "name"
            self.add(
                group, "text", class_=f"{font} again", x=x - 9, y=first + number * 17, text=line, text_anchor="end"
            )


def draw(at: str = "") -> ET.Element:
    """The picture; its stages lead to the sections of the page at the address `at`."""
    says = load()
    drawing = Drawing(says, at)
    first, *others = stages = says["stage"]
    drawing.stage(first, 4)
    for before, stage in zip(stages, others, strict=False):
        bottom = drawing.bottoms[before["code"]]
        top = bottom + gap(before, stage)
        drawing.pipe(bottom, top)
        drawing.stage(stage, top)
    for name in FRAMES:
        drawing.frame(name)
    drawing.again(says["again"])
    left, right = MARGINS
    end = drawing.bottoms[stages[-1]["code"]]
    stamped = [stage["code"] for stage in stages if stage.get("stamps")]
    top, bottom = drawing.tops[stamped[0]], drawing.bottoms[stamped[-1]]
    drawing.add(drawing.frames, "line", class_="rail", x1=RAIL, x2=RAIL, y1=top, y2=bottom)
    drawing.root.set("viewBox", f"{left} 0 {right - left} {end + 4}")
    return drawing.root


def as_html(at: str = "") -> str:
    """The picture as a block of HTML in a Markdown page."""
    return f"<figure>\n{ET.tostring(draw(at), encoding='unicode')}\n</figure>\n\n"
