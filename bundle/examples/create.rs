//! Writes a bundle of a range, as `git bundle create <out> <tip> --not <base>…` does:
//! `cargo run -p bundle --example create -- <repository> <tip> <out> <base>…`

use std::{error::Error, fs::File, io::BufWriter};

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(repository), Some(tip), Some(out)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: create <repository> <tip> <out> <base>…".into());
    };
    let repo = gix::open(repository)?;
    let bases = args.map(|base| Ok(repo.rev_parse_single(base.as_str())?.detach()));
    let bases = bases.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let tip = bundle::Tip { name: "HEAD".into(), id: repo.rev_parse_single(tip.as_str())?.detach() };
    let plan = bundle::plan(&repo, &[tip], &bases, &mut |_| ())?;
    println!("{} commits on {} prerequisites", plan.commits().len(), plan.prerequisites().len());
    let mut file = BufWriter::new(File::create(out)?);
    let created = bundle::create(&repo, &plan, bundle::CreateOptions::default(), &mut file, &mut |_| ())?;
    println!("{} objects in {} bytes", created.objects, created.size);
    Ok(())
}
