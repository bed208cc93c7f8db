//! Encoders of pictures: equal to plain loops, and folders and pictures that cannot be used are refused with a reason.

use std::path::{Path, PathBuf};

use accrue_encode::{
    HASHED, ImageEncoder, ItemEncoder, ItemEncoderSettings, ItemInput, PIXELS, Picture, fit_projection, write_projected,
};
use accrue_event::Item;
use accrue_kernel::Draws;
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};

use super::folder::{Tensors, write_tensors};

/// A small network with every kind of block: without expansion, both filter sizes and strides, with and without
/// residual.
const BLOCKS: [(usize, usize, usize, usize, usize); 5] =
    [(3, 1, 8, 8, 4), (3, 2, 4, 20, 6), (5, 1, 6, 36, 6), (5, 2, 6, 17, 10), (5, 1, 10, 40, 10)];
const SIZE: usize = 37;
const WIDTH: usize = 70;

/// A folder in memory.
struct ImageFolder {
    config: Value,
    tensors: Tensors,
}

impl ImageFolder {
    fn random(seed: u64) -> Self {
        let mut draws = Draws::new(seed, 3, 4);
        let mut tensors = Tensors::new();
        let mut add = |name: String, dims: [usize; 4]| {
            let fan_in = (dims[1] * dims[2] * dims[3]) as f32;
            let weights = (0..dims.iter().product()).map(|_| draws.normal() * (2.0 / fan_in).sqrt()).collect();
            tensors.insert(format!("{name}.weight"), (dims.to_vec(), weights));
            tensors
                .insert(format!("{name}.bias"), (vec![dims[0]], (0..dims[0]).map(|_| draws.normal() * 0.3).collect()));
        };
        add("stem".into(), [8, 3, 3, 3]);
        let mut blocks = Vec::new();
        for (number, (kernel, stride, inputs, expanded, outputs)) in BLOCKS.into_iter().enumerate() {
            if expanded != inputs {
                add(format!("blocks.{number}.expand"), [expanded, inputs, 1, 1]);
            }
            add(format!("blocks.{number}.depthwise"), [expanded, 1, kernel, kernel]);
            add(format!("blocks.{number}.project"), [outputs, expanded, 1, 1]);
            blocks.push(json!({"kernel": kernel, "stride": stride, "in": inputs, "expanded": expanded, "out": outputs,
                "residual": stride == 1 && inputs == outputs}));
        }
        add("head".into(), [WIDTH, 10, 1, 1]);
        let config = json!({
            "name": "efficientnet-lite-test", "activation": "relu6",
            "input": {"channels": "RGB", "size": SIZE, "fit": "stretch", "mean": ([127.0; 3]), "std": ([128.0; 3])},
            "stem": {"kernel": 3, "stride": 2, "in": 3, "out": 8}, "blocks": blocks,
            "head": {"kernel": 1, "stride": 1, "in": 10, "out": WIDTH},
        });
        Self { config, tensors }
    }

    fn write(&self, to: &Path) {
        std::fs::write(to.join("config.json"), self.config.to_string()).unwrap();
        write_tensors(&self.tensors, safetensors::Dtype::F32, &to.join("model.safetensors"));
    }

    fn open(&self) -> Result<ImageEncoder, String> {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        ImageEncoder::open(dir.path().to_str().unwrap()).map_err(|error| error.to_string())
    }
}

/// A map: `[channel][row][column]`.
type Map = Vec<Vec<Vec<f64>>>;

/// A convolution in plain loops, with TensorFlow's padding. With `depthwise` each channel has its own filter.
fn convolution(folder: &ImageFolder, name: &str, stride: usize, depthwise: bool, clamped: bool, input: &Map) -> Map {
    let (shape, weight) = &folder.tensors[&format!("{name}.weight")];
    let (_, bias) = &folder.tensors[&format!("{name}.bias")];
    let [outputs, inputs, side, _] = shape[..] else { panic!("a convolution has four dimensions") };
    let sides = [input[0].len(), input[0][0].len()].map(|n| {
        let out = n.div_ceil(stride);
        (n as isize, out, (((out - 1) * stride + side) as isize - n as isize).max(0) / 2)
    });
    let [(height, height_out, above), (width, width_out, left)] = sides;
    let at = |output: usize, y: usize, x: usize| {
        let mut sum = f64::from(bias[output]);
        for input_channel in 0..inputs {
            let map = &input[if depthwise { output } else { input_channel }];
            for (dy, dx) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dy, dx))) {
                let (y, x) = ((y * stride + dy) as isize - above, (x * stride + dx) as isize - left);
                if (0..height).contains(&y) && (0..width).contains(&x) {
                    let weight = weight[((output * inputs + input_channel) * side + dy) * side + dx];
                    sum += f64::from(weight) * map[y as usize][x as usize];
                }
            }
        }
        if clamped { sum.clamp(0.0, 6.0) } else { sum }
    };
    let row = |output: usize, y: usize| (0..width_out).map(|x| at(output, y, x)).collect();
    (0..outputs).map(|output| (0..height_out).map(|y| row(output, y)).collect()).collect()
}

/// The features of a picture of the network's own size, in plain loops.
fn reference(folder: &ImageFolder, picture: &Picture) -> Vec<f64> {
    let at = |channel: usize, y: usize, x: usize| {
        (f64::from(picture.rgb[(y * picture.width + x) * 3 + channel]) - 127.0) / 128.0
    };
    let rows = |channel: usize| (0..SIZE).map(move |y| (0..SIZE).map(|x| at(channel, y, x)).collect()).collect();
    let mut map: Map = (0..3).map(rows).collect();
    map = convolution(folder, "stem", 2, false, true, &map);
    for (number, (_, stride, inputs, expanded, outputs)) in BLOCKS.into_iter().enumerate() {
        let name = format!("blocks.{number}");
        let mut wide = map.clone();
        if expanded != inputs {
            wide = convolution(folder, &format!("{name}.expand"), 1, false, true, &wide);
        }
        let deep = convolution(folder, &format!("{name}.depthwise"), stride, true, true, &wide);
        let mut out = convolution(folder, &format!("{name}.project"), 1, false, false, &deep);
        if stride == 1 && inputs == outputs {
            let cells = out.iter_mut().flatten().flatten().zip(map.iter().flatten().flatten());
            cells.for_each(|(out, x)| *out += x);
        }
        map = out;
    }
    let head = convolution(folder, "head", 1, false, true, &map);
    head.iter().map(|rows| rows.iter().flatten().sum::<f64>() / rows.iter().flatten().count() as f64).collect()
}

fn formula(width: usize, height: usize) -> Picture {
    let pixel = |x: usize, y: usize| [3 * x + 5 * y, x * y, x * x + 7 * y].map(|value| (value % 256) as u8);
    let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Picture { width, height, rgb }
}

#[test]
fn a_network_of_pictures_equals_plain_loops() {
    for seed in [1, 2, 3] {
        let folder = ImageFolder::random(seed);
        let encoder = folder.open().unwrap();
        let picture = formula(SIZE, SIZE);
        let (found, expected) = (encoder.features(&picture), reference(&folder, &picture));
        assert_eq!((found.len(), expected.len()), (WIDTH, encoder.width()));
        assert!(expected.iter().any(|&x| x > 0.01), "{expected:?}");
        let gap = found.iter().zip(&expected).map(|(&x, y)| (f64::from(x) - y).abs()).fold(0.0, f64::max);
        assert!(gap < 1e-4, "{gap:e}");
    }
}

/// A folder with pictures in all three formats, and their paths.
fn pictures() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let image = RgbImage::from_fn(60, 80, |x, y| Rgb([(3 * x + y) as u8, (x * y / 16) as u8, (2 * y) as u8]));
    let names = ["a.png", "b.jpg", "c.webp"].map(|name| dir.path().join(name));
    for name in &names {
        image.save(name).unwrap();
    }
    (dir, names.into())
}

#[test]
fn every_format_is_read_and_threads_change_nothing() {
    let (_dir, paths) = pictures();
    let encoder = ImageFolder::random(5).open().unwrap();
    let vectors: Vec<Vec<f32>> = encoder.encode(&paths, 1).into_iter().map(Result::unwrap).collect();
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for vector in &vectors {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
    assert_eq!(vectors[0], vectors[2], "PNG and WebP without loss hold the same pixels");
    assert!(cosine(&vectors[0], &vectors[1]) > 0.99);
    for threads in [2, 7] {
        let again: Vec<Vec<f32>> = encoder.encode(&paths, threads).into_iter().map(Result::unwrap).collect();
        assert_eq!(again, vectors);
    }
    let pixels = ImageEncoder::open(PIXELS).unwrap();
    let vectors: Vec<Vec<f32>> = pixels.encode(&paths, 1).into_iter().map(Result::unwrap).collect();
    assert!(cosine(&vectors[0], &vectors[1]) > 0.99 && vectors[0].len() == pixels.width());
    assert_ne!(pixels.space(), encoder.space());
    assert_eq!(ImageFolder::random(5).open().unwrap().space(), encoder.space());
    assert_ne!(ImageFolder::random(6).open().unwrap().space(), encoder.space());
}

#[test]
fn pictures_of_every_kind_of_pixel_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.png");
    RgbaImage::from_fn(2, 1, |x, _| Rgba([200, 100, 0, if x == 0 { 0 } else { 255 }])).save(&path).unwrap();
    assert_eq!(Picture::open(&path).unwrap().rgb, [255, 255, 255, 200, 100, 0], "transparent is white");
    for (color, bytes) in [
        (ExtendedColorType::L8, vec![7]),
        (ExtendedColorType::L16, vec![7, 7]),
        (ExtendedColorType::La8, vec![7, 255]),
        (ExtendedColorType::Rgb16, vec![7; 6]),
    ] {
        let file = std::fs::File::create(&path).unwrap();
        image::codecs::png::PngEncoder::new(file).write_image(&bytes, 1, 1, color).unwrap();
        assert_eq!(Picture::open(&path).unwrap(), Picture { width: 1, height: 1, rgb: vec![7; 3] }, "{color:?}");
    }
}

#[test]
fn an_orientation_turns_the_picture_upright() {
    // An EXIF block whose only entry is the orientation 6: the camera was held on its side.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut jpeg = Vec::new();
    let image = RgbImage::from_fn(16, 8, |x, _| if x < 8 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) });
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100).encode_image(&image).unwrap();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned: Vec<u8> = [&jpeg[..2], &[0xFF, 0xE1], &length, exif, &jpeg[2..]].concat();
    let picture = Picture::decode(&turned).unwrap();
    assert_eq!((picture.width, picture.height), (8, 16));
    assert!(picture.rgb[0] > 200 && picture.rgb[2] < 60, "the left half is the upper one now");
    assert!(picture.rgb[picture.rgb.len() - 1] > 200);
}

/// `n` zeros as a zlib stream: runs of 258 bytes at distance 1 in one block with fixed codes.
fn zeros(n: usize) -> Vec<u8> {
    let (mut bytes, mut held, mut n_held) = (vec![0x78, 0x9C], 0_u32, 0);
    let mut put = |value: u32, n_bits: u32| {
        held |= value << n_held;
        n_held += n_bits;
        while n_held >= 8 {
            bytes.push(held as u8);
            held >>= 8;
            n_held -= 8;
        }
    };
    put(0b011, 3);
    // The literal 0 (0011 0000), then length 258 (symbol 285: 1100 0101) at distance 1 (0 0000), first bits first.
    put(0b0000_1100, 8);
    for _ in 0..n / 258 {
        put(0b0_0000_1010_0011, 13);
    }
    put(0, 7);
    put(0, 8);
    bytes.extend([0; 4]);
    bytes
}

/// The most memory that the process has held so far, in bytes.
#[cfg(target_os = "linux")]
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1_024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_png_whose_colour_profile_unpacks_to_gigabytes_takes_little_memory() {
    let (_dir, paths) = pictures();
    let whole = std::fs::read(&paths[0]).unwrap();
    let profile = [&b"iCCPx\0\0"[..], &zeros(1 << 30)].concat();
    let chunk = [&(profile.len() as u32 - 4).to_be_bytes()[..], &profile, &crc(&profile).to_be_bytes()].concat();
    let bomb = [&whole[..33], &chunk, &whole[33..]].concat();
    assert!(bomb.len() < 8 << 20, "{}", bomb.len());
    let before = peak_bytes();
    let decoded = Picture::decode(&bomb);
    let grown = peak_bytes() - before;
    assert!(grown < 300 << 20, "{grown} bytes");
    assert_eq!(decoded.unwrap(), Picture::decode(&whole).unwrap(), "the profile is not used");
}

#[test]
fn pictures_that_cannot_be_used_are_named_with_what_was_expected() {
    let (dir, paths) = pictures();
    let encoder = ImageEncoder::open(PIXELS).unwrap();
    let check = |name: &str, bytes: &[u8], expected: &[&str]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = encoder.encode(&[&path], 1).remove(0).expect_err(name).to_string();
        assert!(error.contains(name), "{error}");
        expected.iter().for_each(|part| assert!(error.contains(part), "`{part}` is not in: {error}"));
    };
    check("empty.jpg", b"", &["empty", "expected JPEG, PNG or WebP"]);
    check("text.jpg", b"<html>not found</html>", &["not a picture"]);
    check("gif.jpg", b"GIF89a\x01\0\x01\0\0\0\0", &["Gif", "expected JPEG, PNG or WebP"]);
    let whole: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (bytes, name) in whole.iter().zip(["cut.png", "cut.jpg", "cut.webp"]) {
        check(name, &bytes[..20], &[]);
        // A decoder may make something of a file that ends early, but never a panic.
        for end in (0..bytes.len()).step_by(7) {
            let _ = Picture::decode(&bytes[..end]);
        }
        for place in (0..bytes.len()).step_by(5) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x55;
            let _ = Picture::decode(&damaged);
        }
    }
    // A PNG of 60,000 × 60,000 pixels in a few bytes: the header says the size, and its checksum has to be right.
    let mut huge = whole[0].clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let sum = crc(&huge[12..29]).to_be_bytes();
    huge[29..33].copy_from_slice(&sum);
    check("huge.png", &huge, &["too large"]);
    huge[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
    let sum = crc(&huge[12..29]).to_be_bytes();
    huge[29..33].copy_from_slice(&sum);
    check("many.png", &huge, &["10000 × 10000 pixels", "at most 40000000"]);
    // An animation control chunk before the pixels makes a PNG an animated one.
    let control = [&8_u32.to_be_bytes()[..], b"acTL", &2_u32.to_be_bytes(), &0_u32.to_be_bytes()].concat();
    let control = [&control[..], &crc(&control[4..]).to_be_bytes()].concat();
    let animated = [&whole[0][..33], &control, &whole[0][33..]].concat();
    check("animated.png", &animated, &["animated", "expected one with a single frame"]);
    #[cfg(unix)]
    {
        let pipe = dir.path().join("pipe.png");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = encoder.encode(&[&pipe], 1).remove(0).unwrap_err().to_string();
        assert!(error.contains("pipe.png") && error.contains("no file"), "{error}");
    }
    let missing = encoder.encode(&[dir.path().join("none.jpg")], 1).remove(0).unwrap_err().to_string();
    assert!(missing.contains("none.jpg"), "{missing}");
    let folder = encoder.encode(&[dir.path()], 1).remove(0).unwrap_err().to_string();
    assert!(folder.contains(dir.path().to_str().unwrap()), "{folder}");
}

/// The checksum of PNG's chunks.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xEDB8_8320 ^ crc >> 1 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

#[test]
fn folders_that_cannot_be_used_are_refused() {
    let check = |change: &dyn Fn(&mut ImageFolder), expected: &[&str]| {
        let mut folder = ImageFolder::random(1);
        change(&mut folder);
        let error = folder.open().expect_err("it cannot be used");
        expected.iter().for_each(|part| assert!(error.contains(part), "`{part}` is not in: {error}"));
    };
    let set = |path: &'static str, value: Value| {
        move |folder: &mut ImageFolder| *folder.config.pointer_mut(path).unwrap() = value.clone()
    };
    check(&set("/name", json!("resnet50")), &["config.json", "name is resnet50", "efficientnet-lite"]);
    check(&|folder| folder.config = json!({"model_type": "bert"}), &["model_type is bert", "efficientnet-lite"]);
    check(&|folder| folder.config = json!({}), &["name is missing"]);
    check(&set("/activation", json!("swish")), &["activation is swish, expected relu6"]);
    check(&set("/input/size", json!(1 << 20)), &["input.size", "8 to 1024"]);
    check(&set("/input/fit", json!("crop")), &["input.fit is crop"]);
    check(&set("/input/std", json!([1.0, 0.0, 1.0])), &["std above 0"]);
    check(&set("/input", json!("x")), &["config.json", "invalid type"]);
    check(&set("/blocks/1/in", json!(5)), &["blocks[1].in is 5, expected 4"]);
    check(&set("/blocks/1/kernel", json!(0)), &["blocks[1].kernel is 0"]);
    check(&set("/blocks/1/residual", json!(true)), &["blocks[1].residual"]);
    check(&set("/blocks/1/expanded", json!(21)), &["blocks.1.expand.weight", "[20, 4, 1, 1]", "[21, 4, 1, 1]"]);
    check(&set("/head/out", json!(1 << 30)), &["head.out"]);
    check(&set("/stem/in", json!(4)), &["stem.in is 4, expected 3"]);
    check(&|folder| drop(folder.tensors.remove("head.bias")), &["model.safetensors", "head.bias"]);
    check(&|folder| folder.tensors.get_mut("head.bias").unwrap().1[2] = f32::NAN, &["head.bias", "not finite"]);
    let text = super::folder::Folder::random(&super::folder::Shape::SMALL, 1);
    let dir = tempfile::tempdir().unwrap();
    text.write(dir.path());
    let error = ImageEncoder::open(dir.path().to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("model_type is bert") && error.contains("encoder of pictures"), "{error}");
    let error = ImageEncoder::open("/no/such/folder").unwrap_err().to_string();
    assert!(error.contains("/no/such/folder/config.json"), "{error}");
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn the_cosine_of_items_is_the_weighted_mean_of_those_of_texts_and_pictures() {
    let (dir, _) = pictures();
    let other = RgbImage::from_fn(40, 40, |x, y| Rgb([(x / 20 * 255) as u8, (y / 20 * 255) as u8, 0]));
    other.save(dir.path().join("d.png")).unwrap();
    std::fs::write(dir.path().join("bad.png"), "no picture").unwrap();
    let settings = |text: &str, image: &str| ItemEncoderSettings {
        text: text.into(),
        image: image.into(),
        images: dir.path().into(),
        image_weight: 0.3,
        ..ItemEncoderSettings::default()
    };
    let item = |id: &str, title: Option<&str>, image: Option<&str>| {
        let mut item = Item::bare(id.into());
        (item.title, item.image) = (title.map(Into::into), image.map(Into::into));
        item
    };
    let items = [
        item("a", Some("red mug"), Some("a.png")),
        item("b", Some("red cup"), Some("d.png")),
        item("c", Some("red mug"), None),
        item("d", None, Some("a.png")),
        item("e", Some("red mug"), Some("bad.png")),
        item("f", Some("red mug"), Some("none.png")),
    ];
    let open = |text, image| ItemEncoder::open(&settings(text, image)).unwrap();
    let all = |encoder: &ItemEncoder| {
        let inputs: Vec<ItemInput> = items.iter().map(|item| encoder.input(item).unwrap()).collect();
        (encoder.encode(&inputs, 2).unwrap(), inputs)
    };
    let (both, texts) = (open(HASHED, PIXELS), open(HASHED, ""));
    let (encoded, inputs) = all(&both);
    let vectors: Vec<&Vec<f32>> = encoded.iter().map(|encoded| encoded.vector.as_ref().unwrap()).collect();
    vectors.iter().for_each(|vector| assert!((dot(vector, vector) - 1.0).abs() < 1e-5));
    let faults: Vec<bool> = encoded.iter().map(|encoded| encoded.fault.is_some()).collect();
    assert_eq!(faults, [false, false, false, false, true, false]);
    assert!(inputs[5].lacks_picture && !inputs[4].lacks_picture && !inputs[2].lacks_picture);
    let text = |text: &str| accrue_encode::HashedEncoder.encode(text);
    let picture =
        |name: &str| ImageEncoder::open(PIXELS).unwrap().encode(&[dir.path().join(name)], 1).remove(0).unwrap();
    let expected = 0.7 * dot(&text("red mug"), &text("red cup")) + 0.3 * dot(&picture("a.png"), &picture("d.png"));
    assert!((dot(vectors[0], vectors[1]) - expected).abs() < 1e-5);
    // What an item lacks is like nothing else, not even like what another item lacks.
    for (a, b, expected) in [(0, 2, 0.7), (2, 4, 0.7), (2, 5, 0.7), (0, 3, 0.3), (2, 3, 0.0)] {
        let found = dot(vectors[a], vectors[b]);
        assert!((found - expected).abs() < 0.06, "{a} {b} {found}");
    }
    let query = both.query("red mug").unwrap().unwrap();
    assert!((dot(&query, vectors[0]) - 1.0).abs() < 1e-5);
    assert!((dot(&query, vectors[2]) - 1.0).abs() < 1e-5, "an item without a picture is found as well as one with it");
    assert!((dot(&query, vectors[1]) - dot(&text("red mug"), &text("red cup"))).abs() < 1e-5);
    // Without pictures nothing is other than before there were any.
    let old = texts.input(&items[0]).unwrap();
    assert_eq!(old.hash, accrue_encode::text_hash("red mug"));
    assert_eq!(texts.encode(&[old], 1).unwrap()[0].vector, Some(text("red mug")));
    assert_eq!(texts.space(), accrue_encode::HashedEncoder.space());
    let alone = open("", PIXELS);
    assert_eq!((alone.query("red").unwrap(), alone.input(&items[2])), (None, None));
    let input = alone.input(&items[0]).unwrap();
    assert_eq!(alone.encode(&[input], 1).unwrap()[0].vector, Some(picture("a.png")));
    let spaces = [both.space(), texts.space(), alone.space()];
    assert!(spaces[0] != spaces[1] && spaces[0] != spaces[2] && spaces[1] != spaces[2]);
}

#[test]
fn a_changed_picture_is_noticed_by_its_name_and_size() {
    let (dir, _) = pictures();
    let settings = ItemEncoderSettings {
        text: HASHED.into(),
        image: PIXELS.into(),
        images: dir.path().into(),
        image_weight: 0.5,
        ..ItemEncoderSettings::default()
    };
    let encoder = ItemEncoder::open(&settings).unwrap();
    let mut item = Item::bare("x".into());
    (item.title, item.image) = (Some("red mug".into()), Some("late.png".into()));
    let without = encoder.input(&item).unwrap().hash;
    std::fs::copy(dir.path().join("a.png"), dir.path().join("late.png")).unwrap();
    let with = encoder.input(&item).unwrap().hash;
    assert_ne!(without, with);
    assert_eq!(encoder.input(&item).unwrap().hash, with);
    std::fs::copy(dir.path().join("b.jpg"), dir.path().join("late.png")).unwrap();
    assert_ne!(encoder.input(&item).unwrap().hash, with);
}

#[test]
fn a_fitted_projection_is_part_of_a_folder_and_makes_a_space_of_its_own() {
    let folder = ImageFolder::random(4);
    let (dir, shop) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    folder.write(dir.path());
    let plain = ImageEncoder::open(dir.path().to_str().unwrap()).unwrap();
    let pictures: Vec<Picture> = (0..120).map(|n| formula(20 + n % 7, 30 + n % 11)).collect();
    let features = plain.features_of(&pictures, 2);
    let titles: Vec<String> = (0..120).map(|n| format!("mug {}", n % 7)).collect();
    let titles: Vec<&str> = titles.iter().map(|title| &**title).collect();
    let projection = fit_projection(&features, &titles, 5).unwrap();
    write_projected(dir.path(), shop.path(), &projection).unwrap();
    let fitted = ImageEncoder::open(shop.path().to_str().unwrap()).unwrap();
    assert_eq!((plain.width(), fitted.width()), (WIDTH, 5));
    assert_ne!(plain.space(), fitted.space());
    assert_eq!(fitted.features(&pictures[0]), features[0], "the features are those of the network");
    let vector = fitted.vector_of(features[3].clone()).unwrap();
    let (direct, norm) =
        (projection.apply(&features[3]), projection.apply(&features[3]).iter().map(|x| x * x).sum::<f32>().sqrt());
    assert!(vector.iter().zip(&direct).all(|(a, b)| (a - b / norm).abs() < 1e-6));
    std::fs::write(shop.path().join("projection.safetensors"), "nothing").unwrap();
    let error = ImageEncoder::open(shop.path().to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("projection.safetensors"), "{error}");
}
