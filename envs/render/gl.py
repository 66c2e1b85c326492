"""Pictures by GL without a display: instanced primitives, colour and depth in one pass.

Wants moderngl and EGL (`pip install genba[gl]`; on Debian and Ubuntu also `apt install libegl1 libgl1-mesa-dri`). No
graphics card: Mesa's llvmpipe draws on the processor and is still faster than numpy. Pictures differ from numpy's in
single pixels on edges, and from one driver to the next, so they are the same bytes only on machines alike.
"""

import os
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...robots.errors import RefusedError
from .lens import AMBIENT, BEYOND, SKY, Lamp, Lens
from .scene import Floats, Placed, Scene

if TYPE_CHECKING:
    import moderngl

Words = npt.NDArray[np.uint32]

CURE = "pip install 'genba[gl]', on Debian and Ubuntu also apt install libegl1 libgl1-mesa-dri, or use backend='cpu'"
EGL: dict[str, Any] = {"backend": "egl"}  # the stubs of moderngl take every setting for a dict
ROUND = 24  # edges of a drawn circle

VERTEX = """
#version 330
uniform mat3 axes;
uniform vec3 eye;
uniform vec4 lens;  // x and y scale, near, far
in vec3 corner;
in vec3 normal;
in mat3 turn;
in vec3 size;
in vec3 at;
in vec3 tint;
out vec3 outward;
out vec3 colour;
out float depth;
void main() {
    vec3 seen = axes * (at + turn * (size * corner) - eye);
    outward = turn * normal;
    colour = tint;
    depth = seen.z;
    float a = lens.z, b = lens.w;
    gl_Position = vec4(seen.xy * lens.xy, (seen.z * (b + a) - 2.0 * a * b) / (b - a), seen.z);
}
"""
FRAGMENT = """
#version 330
uniform vec3 toward;
uniform vec4 light;  // ambient, sky, direct, brightness
in vec3 outward;
in vec3 colour;
in float depth;
layout(location = 0) out vec4 rgba;
layout(location = 1) out float inverse;
void main() {
    vec3 n = normalize(outward);
    float shade = light.w * (light.x + light.y * n.z + light.z * max(dot(n, toward), 0.0));
    // Whole numbers as numpy makes them: towards zero.
    rgba = vec4(floor(min(colour * shade * 255.0, 255.0) + 1e-4) / 255.0, 1.0);
    inverse = 1.0 / depth;
}
"""


class GlPainter:
    """Draws a scene at one size."""

    def __init__(self, scene: Scene, height: int, width: int, *, depth: bool) -> None:
        """Open GL and prepare for a size.

        Args:
            scene: What to draw.
            height: Pixels.
            width: Pixels.
            depth: Whether `inverse` will be asked for.

        Raises:
            RefusedError: If moderngl or EGL is not there.
        """
        self._scene = scene
        self._shape = height, width
        self._context = context = _context(os.getpid())
        self._program = context.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
        targets = [context.texture((width, height), 4)]
        if depth:
            targets.append(context.texture((width, height), 1, dtype="f4"))
        self._frame = context.framebuffer(targets, context.depth_renderbuffer((width, height)))
        self._inverse = context.framebuffer(targets[1]) if depth else None
        self._meshes = []
        for corners in (_box(), _cylinder(), _ball()):
            points, order = np.unique(corners.round(9), axis=0, return_inverse=True)
            self._meshes.append([context.buffer(a.tobytes()) for a in (points.astype("f4"), order.astype("i4"))])
        self._arrange()

    def _arrange(self) -> None:
        """Make room for the primitives that the scene has now."""
        scene, context = self._scene, self._context
        self._arranged = scene.half
        kinds = np.concatenate([np.zeros(scene.boxes), 1.0 + scene.ball[scene.boxes :]])
        self._batches = []
        for kind, (mesh, order) in enumerate(self._meshes):
            members = (kinds == kind).nonzero()[0]
            if len(members):
                rows = context.buffer(reserve=len(members) * 18 * 4, dynamic=True)
                content = [(mesh, "3f 3f", "corner", "normal"), (rows, "9f 3f 3f 3f/i", "turn", "size", "at", "tint")]
                self._batches.append((members, rows, context.vertex_array(self._program, content, order)))

    def paint(self, placed: Placed, lens: Lens, lamp: Lamp) -> None:
        """Draw everything, for `colours` and `inverse` to read.

        Args:
            placed: Where the primitives are.
            lens: The camera.
            lamp: The light.
        """
        scene, program = self._scene, self._program
        if scene.half is not self._arranged:
            self._arrange()
        height, width = self._shape
        program["axes"] = lens.axes.T.ravel().tolist()
        program["eye"] = lens.eye.tolist()
        program["lens"] = 2.0 * lens.focal * height / width, 2.0 * lens.focal, lens.near, lens.far
        program["toward"] = lamp.toward.tolist()
        program["light"] = AMBIENT, SKY, lamp.direct, lamp.brightness
        red, green, blue = BEYOND
        self._frame.clear(color=(red / 255.0, green / 255.0, blue / 255.0, 1.0))
        if self._inverse:
            self._inverse.clear()
        self._frame.use()
        turn = placed.turn.transpose(0, 2, 1).reshape(-1, 9)
        table = np.concatenate([turn, scene.half, placed.at, scene.colour], axis=1).astype("f4")
        for members, rows, array in self._batches:
            rows.write(table[members].tobytes())
            array.render(instances=len(members))

    def colours(self) -> Words:
        """Red, green, blue and 255 as the bytes of a word, lowest first, (height, width)."""
        return np.frombuffer(self._frame.read(components=4), np.uint32).reshape(self._shape)

    def inverse(self) -> Floats:
        """Inverse depths along the axis, (height, width), 1/m; 0 where nothing is and everywhere if unprepared."""
        if self._inverse is None:
            return np.zeros(self._shape)
        read = np.frombuffer(self._inverse.read(components=1, dtype="f4"), np.float32)
        return read.astype(np.float64).reshape(self._shape)


@lru_cache(maxsize=1)
def _context(pid: int) -> "moderngl.Context":
    """One context for all cells of a process; a fork must not go on with its parent's."""
    # One thread: whoever draws much has as many cells as processors.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        import moderngl

        context = moderngl.create_context(require=330, standalone=True, **EGL)
    except Exception as error:
        # glcontext raises bare Exception where EGL is missing
        raise RefusedError(f"backend 'gl' cannot open GL ({error}); {CURE}") from error
    context.gc_mode = "auto"
    context.enable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
    context.front_face = "cw"  # the camera's axes point right and down
    return context


def _box() -> Floats:
    """Corners and normals of the triangles of a cube of half edge 1, (36, 6), counterclockwise from outside."""
    found = []
    for axis in range(3):
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        for side in (1.0, -1.0):
            normal = side * np.eye(3)[axis]
            corners = [normal + a * u + b * v * side for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            found += [(*corners[k], *normal) for k in (0, 1, 2, 0, 2, 3)]
    return np.array(found)


def _cylinder() -> Floats:
    """The same of a cylinder of radius and half height 1."""
    found = []
    angles = 2.0 * np.pi * np.arange(ROUND + 1) / ROUND
    rim = np.stack([np.cos(angles), np.sin(angles), np.zeros(ROUND + 1)], axis=1)
    up = np.array([0.0, 0.0, 1.0])
    for a, b in pairwise(rim):
        found += [(*(p + s * up), *p) for p, s in ((a, -1), (b, -1), (b, 1), (a, -1), (b, 1), (a, 1))]
        found += [(*p, *up) for p in (up, a + up, b + up)]
        found += [(*p, *-up) for p in (-up, b - up, a - up)]
    return np.array(found)


def _ball() -> Floats:
    """The same of a ball of radius 1."""
    height = np.pi * (np.arange(ROUND // 2 + 1)[:, None] / (ROUND // 2) - 0.5)
    around = 2.0 * np.pi * np.arange(ROUND + 1) / ROUND
    level = np.broadcast_to(np.sin(height), (len(height), len(around)))
    points = np.stack([np.cos(height) * np.cos(around), np.cos(height) * np.sin(around), level], axis=2)
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    corners = np.stack([a, b, c, a, c, d], axis=2).reshape(-1, 3)
    return np.concatenate([corners, corners], axis=1)
