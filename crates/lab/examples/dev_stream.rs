//! Scratch: quick quality runs.
use std::collections::HashMap;
use std::io::BufRead;
use accrue_model::*;
use accrue_store::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let unit = args.get(1).map(String::as_str).unwrap_or("line");
    let shuffle = args.get(2).map(String::as_str) == Some("shuffle");
    let sets: Vec<&str> = args.iter().skip(3).map(String::as_str).collect();
    let mut settings = Settings::default();
    let mut every = 20; let mut cap = 1000; let mut only = String::from("all"); let mut limit = usize::MAX;
    for s in sets { let (k, v) = s.split_once('=').unwrap(); match k {
        "every" => every = v.parse().unwrap(), "cap" => cap = v.parse().unwrap(), "only" => only = v.into(), "limit" => limit = v.parse().unwrap(),
        "n.half" => settings.neighbours.half_life_days = v.parse().unwrap(),
        "n.seq" => settings.neighbours.sequence_reach = v.parse().unwrap(),
        "n.visit" => settings.neighbours.visit_reach = v.parse().unwrap(),
        "n.across" => settings.neighbours.across_reach = v.parse().unwrap(),
        "n.cap" => settings.neighbours.capacity = v.parse().unwrap(),
        "f.rate" => settings.factorization.rate = v.parse().unwrap(),
        "f.l2" => settings.factorization.l2 = v.parse().unwrap(),
        "f.neg" => settings.factorization.negatives = v.parse().unwrap(),
        "f.reach" => settings.factorization.reach = v.parse().unwrap(),
        "f.replay" => settings.factorization.replay = v.parse().unwrap(),
        "b.rate" => settings.blend.rate = v.parse().unwrap(),
        "b.avg" => settings.blend.average = v.parse().unwrap(),
        "b.forget" => settings.blend.forget = v.parse().unwrap(),
        "b.one" => settings.retrieval.learn_one_in = v.parse().unwrap(),
        "b.cand" => settings.retrieval.learn_candidates = v.parse().unwrap(),
        _ => panic!("{k}") } }
    let file = std::fs::File::open("/work/shared/data/online-retail-uci/y2009_2010.tsv.zst").unwrap();
    let reader = std::io::BufReader::new(zstd::Decoder::new(file).unwrap());
    let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
    let mut lines: Vec<(Interaction, u32, String)> = vec![];
    let mut invoices = Vocabulary::default();
    for line in reader.lines().skip(1) {
        let line = line.unwrap();
        let c: Vec<&str> = line.split('\t').collect();
        let code = c[1];
        let ok = code.len() >= 5 && code[..5].bytes().all(|b| b.is_ascii_digit()) && code[5..].bytes().all(|b| b.is_ascii_uppercase());
        if c[6].is_empty() || c[0].starts_with('C') || c[3].parse::<i64>().unwrap() <= 0 || !ok { continue; }
        let at = accrue_event::Timestamp::parse(c[4]).unwrap();
        let inv = invoices.intern(c[0]);
        lines.push((Interaction { shopper: users.intern(c[6]), item: 0, type_code: 5, at_ms: at.0, session: Some(inv), value: 1.0, quantity: 1 }, inv, format!("{}\t{}", code, c[2])));
    }
    lines.sort_by_key(|l| l.0.at_ms);
    if shuffle {
        // shuffle lines within invoice, keeping the invoice's slots
        let mut slots: HashMap<u32, Vec<usize>> = HashMap::new();
        for (n, l) in lines.iter().enumerate() { slots.entry(l.1).or_default().push(n); }
        let old = lines.clone();
        for (inv, s) in slots { let mut p = s.clone(); accrue_kernel::Draws::new(7, 1, inv as u64).shuffle(&mut p); for (a, b) in s.iter().zip(p) { lines[*a] = old[b].clone(); } }
    }
    let mut descr = vec![];
    for l in &mut lines { let (code, d) = l.2.split_once('\t').unwrap(); let before = items.len(); l.0.item = items.intern(code); if items.len() > before { descr.push((l.0.item, d.to_string())); } }
    lines.truncate(limit);
    println!("{} lines {} items {} users", lines.len(), items.len(), users.len());
    let t0 = lines[0].0.at_ms;
    let mut begin = vec![usize::MAX; invoices.len()];
    for (n, l) in lines.iter().enumerate().rev() { begin[l.1 as usize] = n; }
    let mut evals: Vec<Vec<usize>> = vec![vec![]; lines.len()];
    for (n, l) in lines.iter().enumerate() { if n % every == 0 && l.0.at_ms - t0 >= 28 * 86_400_000 { evals[if unit == "basket" { begin[l.1 as usize] } else { n }].push(n); } }
    let mut ens = Ensemble::new(settings, 1);
    let weights = TypeWeights::default();
    let mut hist = Histories::new(cap);
    let mut bought: std::collections::HashSet<(u32, u32)> = Default::default();
    let mut p = Prepared::default();
    let mut stats: HashMap<&str, [[f64; 3]; 3]> = HashMap::new();
    let parts = ["blend", "popular", "own", "followed_by", "in_one_visit", "across", "neigh", "mf", "pref"];
    let (mut t_learn, mut t_eval) = (0.0, 0.0);
    let mut seen = 0u32; let mut d_it = descr.into_iter().peekable();
    let mut rows = vec![];
    for (n, (event, _, _)) in lines.iter().enumerate() {
        let clock = std::time::Instant::now();
        if !evals[n].is_empty() {
            let ctx = Context::new(hist.get(event.shopper), event.session, event.at_ms, &weights);
            ens.prepare(&ctx, &mut p);
            rows.clear();
            for item in 0..seen { let mut r = [0.0; N_FEATURES]; let g = ens.features(&p, item, &mut r); rows.push((ens.blend.score(g, &r), r)); }
            for &m in &evals[n] {
                let target = lines[m].0.item;
                let rep = bought.contains(&(event.shopper, target));
                for (k, part) in parts.iter().enumerate() {
                    let f = |x: &(f32, [f32; N_FEATURES])| match k { 0 => x.0, 1 => x.1[1], 2 => x.1[4] + 1e-3 * x.1[1], 3 => x.1[6], 4 => x.1[7], 5 => x.1[8], 6 => x.1[6] + x.1[7] + x.1[8], 7 => x.1[9], _ => x.1[10] };
                    let rank = if target >= seen { 1e9 } else { let s = f(&rows[target as usize]); rows.iter().enumerate().filter(|(i, r)| *i as u32 != target && f(r) >= s).count() as f64 };
                    let e = stats.entry(part).or_default();
                    for g in [0, if rep { 2 } else { 1 }] { e[g][0] += 1.0; if rank < 20.0 { e[g][1] += 1.0; e[g][2] += 1.0 / (rank + 2.0).log2(); } }
                }
            }
        }
        t_eval += clock.elapsed().as_secs_f64();
        let clock = std::time::Instant::now();
        if event.item >= seen { seen = event.item + 1; }
        let d = if d_it.peek().is_some_and(|d| d.0 == event.item) { let d = d_it.next().unwrap(); let mut i = accrue_event::Item::bare("x".into()); i.title = Some(d.1.into()); Some(i) } else { None };
        ens.see_item(event.item, event.at_ms); if let Some(d) = &d { ens.preference.describe(event.item, d); }
        let ctx = Context::new(hist.get(event.shopper), event.session, event.at_ms, &weights);
        let step = Step { offset: n as u64, seed: 1, context: ctx, event: *event, weight: 1.0, n_items: seen };
        if only == "all" { ens.learn(&step, &mut p); } else { match only.as_str() { "mf" => ens.factorization.learn(&step), "n" => ens.neighbours.learn(&step), "pop" => ens.popularity.learn(&step), "pref" => ens.preference.learn(&step), _ => {} } }
        hist.push(event);
        bought.insert((event.shopper, event.item));
        t_learn += clock.elapsed().as_secs_f64();
    }
    println!("learn {t_learn:.2}s = {:.0}/s  eval {t_eval:.2}s", lines.len() as f64 / t_learn);
    for part in parts { let e = &stats[part]; println!("{part:14} all {:.4}/{:.4}  new {:.4}/{:.4}  repeat {:.4}/{:.4} n={}", e[0][1]/e[0][0], e[0][2]/e[0][0], e[1][1]/e[1][0], e[1][2]/e[1][0], e[2][1]/e[2][0], e[2][2]/e[2][0], e[0][0]); }
    for g in 0..6 { for (f, feature) in FEATURES.iter().enumerate() { print!("{g} {:14}", feature.name); for k in 0..16 { let x = match feature.axis { Axis::Log { low, step } => if k == 0 { 0.0 } else { 2f32.powf(low + step * (k - 1) as f32) }, Axis::Linear { low, high } => low + (high - low) * k as f32 / 15.0 }; print!(" {:5.2}", ens.blend.share(g, f, x)); } println!(); } if std::env::var("CURVES").is_err() { break; } }
}
