//! A picture: the pixels of a file.
//!
//! In: a JPEG, PNG or WebP file, recognised by its first bytes, whatever its name. Out: RGB bytes, upright as the
//! file's orientation says, on white where it is transparent. Files that are too large, animated, cut off or damaged
//! are refused with what is wrong and what was expected; nothing that a file holds ends the program.

use std::io::{Cursor, Read as _};
use std::panic::catch_unwind;
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits};

use crate::{EncodeError, PictureFault};

/// Bytes of a file, at most.
pub const MAX_PICTURE_BYTES: u64 = 32 << 20;
/// Pixels of a picture, at most: a phone's camera has half as many.
pub const MAX_PIXELS: u64 = 40_000_000;
/// Columns and rows of a picture, at most.
const MAX_SIDE: u32 = 30_000;
/// Bytes that a decoder may allocate.
const MAX_DECODED_BYTES: u64 = 512 << 20;
/// The same of a PNG's decoder beside the pixels: its parts are compressed, and a few bytes can stand for gigabytes.
const MAX_PNG_PARTS_BYTES: u64 = 64 << 20;

/// Pixels, row by row, from the upper left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns; at least 1.
    pub width: usize,
    /// Rows; at least 1.
    pub height: usize,
    /// `[height, width, 3]`: red, green, blue.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, or is no picture within the limits.
    pub fn open(path: &Path) -> Result<Self, EncodeError> {
        let io = |source| EncodeError::Io { path: path.into(), source };
        // To open a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(EncodeError::Picture { path: path.into(), fault: PictureFault::NoFile });
        }
        let file = std::fs::File::open(path).map_err(io)?;
        let mut bytes = Vec::new();
        // One byte more than is allowed, so that a file that grows meanwhile is noticed.
        file.take(MAX_PICTURE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        Self::decode(&bytes).map_err(|fault| EncodeError::Picture { path: path.into(), fault })
    }

    /// Decodes the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with them, and what was expected.
    pub fn decode(bytes: &[u8]) -> Result<Self, PictureFault> {
        if bytes.len() as u64 > MAX_PICTURE_BYTES {
            return Err(PictureFault::TooLong(MAX_PICTURE_BYTES));
        }
        // Decoders are other people's code and read what strangers upload: if one panics, its picture is lost and no
        // more.
        catch_unwind(|| decoded(bytes)).unwrap_or_else(|_| Err(PictureFault::Damaged("its decoder failed".into())))
    }
}

fn decoded(bytes: &[u8]) -> Result<Picture, PictureFault> {
    let damaged = |error: std::io::Error| PictureFault::Damaged(error.to_string());
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(damaged)?;
    let format = match reader.format() {
        Some(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) => format,
        Some(other) => return Err(PictureFault::Format(format!("{other:?}"))),
        None if bytes.is_empty() => return Err(PictureFault::Empty),
        None => return Err(PictureFault::NoPicture),
    };
    if is_animated(bytes, format) {
        return Err(PictureFault::Animated);
    }
    reader.limits(limits_of(format));
    let fault = |error: ImageError| match error {
        ImageError::Limits(_) => PictureFault::TooLarge { pixels: MAX_PIXELS, side: MAX_SIDE },
        error => PictureFault::Damaged(error.to_string()),
    };
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PictureFault::TooManyPixels { width, height, most: MAX_PIXELS });
    }
    // A picture whose orientation cannot be read is taken as it lies.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width == 0 || height == 0 {
        return Err(PictureFault::NoPixels);
    }
    let rgb = if image.color().has_alpha() { on_white(&image.into_rgba8()) } else { image.into_rgb8().into_raw() };
    Ok(Picture { width, height, rgb })
}

/// What the decoder of a format may use. The pixels of a PNG are not part of it; their number is checked.
fn limits_of(format: ImageFormat) -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(if format == ImageFormat::Png { MAX_PNG_PARTS_BYTES } else { MAX_DECODED_BYTES });
    limits
}

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Png => {
            let png = PngDecoder::with_limits(Cursor::new(bytes), limits_of(format));
            png.is_ok_and(|png| png.is_apng().unwrap_or(false))
        }
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(bytes)).is_ok_and(|webp| webp.has_animation()),
        _ => false,
    }
}

/// What shows of a picture in front of a white page, which is where shops put cut-out products.
fn on_white(rgba: &[u8]) -> Vec<u8> {
    let over = |&[r, g, b, alpha]: &[u8; 4]| {
        [r, g, b].map(|x| ((u32::from(x) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8)
    };
    rgba.as_chunks::<4>().0.iter().flat_map(over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_pixels_are_white() {
        assert_eq!(
            on_white(&[10, 20, 30, 0, 10, 20, 30, 255, 0, 100, 200, 128]),
            [255, 255, 255, 10, 20, 30, 127, 177, 227]
        );
    }
}
