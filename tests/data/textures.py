"""Pictures with details like a photograph's, and what may happen to them on their way."""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def texture(seed, size=(96, 80)):
    """Return a random picture whose frequencies are as strong as in photographs: about 1 / f."""
    width, height = size
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    channels = []
    for _ in range(3):
        waves = np.fft.rfft2(rng.normal(size=(height, width))) / frequency
        channels.append(np.fft.irfft2(waves, (height, width)))
    pixels = np.stack(channels, axis=-1) + 2 * channels[0][..., None]
    pixels = 128 + 45 * pixels / pixels.std()
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def crop(share, left=0.5, top=0.5):
    """Return a change that takes away a share of both sides."""

    def change(image):
        width, height = (round((1 - share) * side) for side in image.size)
        x, y = round(left * (image.width - width)), round(top * (image.height - height))
        return image.crop((x, y, x + width, y + height))

    return change


def recompress(image, quality=40):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def turn_hue(image):
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point(lambda level: (level + 51) % 256)
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


CHANGES = {
    "as it is": lambda image: image,
    "resized": lambda image: image.resize((64, 64), Image.Resampling.BILINEAR),
    "compressed": recompress,
    "cropped by a tenth": crop(0.1, 0.2, 0.9),
    "cropped by a quarter": crop(0.25, 0.3, 0.8),
    "cropped in a corner": crop(0.2, 0, 0),
    "mirrored": ImageOps.mirror,
    "mirrored and cropped": lambda image: ImageOps.mirror(crop(0.1, 0.1, 0.4)(image)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "of another hue": turn_hue,
    "with a white border": lambda image: ImageOps.expand(image, 6, (255, 255, 255)),
    "with a black border": lambda image: ImageOps.expand(image, 8, (0, 0, 0)),
    "turned a little": lambda image: image.rotate(4, Image.Resampling.BILINEAR),
    "squared by a crop": lambda image: ImageOps.fit(image, (64, 64)),
    "squared by bars": lambda image: ImageOps.pad(image, (96, 96)),
}
