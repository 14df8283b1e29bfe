//! From attributes to the volume that is asked for.

use cvm::model::op::{Make, VolumeLayout};
use cvm::model::{LogType, Name, Permissions, Sectors};

use super::layout::{is_mirrored, is_striped};
use super::words::Attributes;

/// The volume; what `own` leaves open is as `standard` says, which comes from a file: that is how
/// mirrors, stripes and logs are if there are any, and asks for none.
///
/// # Errors
/// If attributes contradict each other.
pub(super) fn make(
    name: Name,
    len: Option<Sectors>,
    own: Attributes,
    standard: &Attributes,
) -> Result<Make, String> {
    let layout = layout(&own, standard)?;
    let (log_type, logs) = logs(&own, standard, layout)?;
    let ours = Permissions::default();
    let from = |own: Option<String>, file: &Option<String>, ours: String| {
        own.or_else(|| file.clone()).unwrap_or(ours)
    };
    let striped = is_striped(layout);
    let of_file = Make::new(name.clone(), len, layout);
    Ok(Make {
        name,
        len,
        layout,
        columns: own.columns.or_else(|| standard.columns.filter(|_| striped)),
        width: own.width.or_else(|| standard.width.filter(|_| striped)),
        mirrors: own.mirrors.or_else(|| standard.mirrors.filter(|_| is_mirrored(layout))),
        log_type,
        logs,
        init: own.init.or(standard.init).unwrap_or_default(),
        exclusive: own.exclusive.or(standard.exclusive).unwrap_or(false),
        usage: from(own.usage, &standard.usage, of_file.usage),
        permissions: Permissions {
            user: from(own.user, &standard.user, ours.user),
            group: from(own.group, &standard.group, ours.group),
            mode: own.mode.or(standard.mode).unwrap_or(ours.mode),
        },
        comment: from(own.comment, &standard.comment, String::new()),
        contiguous: own.layout.is_contiguous(&standard.layout),
        storage: own.storage,
    })
}

/// The layout that words name, made whole by what numbers imply: columns are of a stripe, and two
/// mirrors of a mirror.
///
/// # Errors
/// If the numbers contradict the words.
pub(super) fn own_layout(own: &Attributes) -> Result<Option<VolumeLayout>, String> {
    let mut words = own.layout;
    if own.mirrors.is_some_and(|mirrors| mirrors > 1) {
        if words.mirror == Some(false) {
            return Err("layout=nomirror contradicts the number of mirrors".to_owned());
        }
        words.mirror = Some(true);
    }
    if own.columns.is_some() || own.width.is_some() {
        if words.stripe == Some(false) {
            let what = "ncol= and stripeunit= are for striped layouts, such as layout=stripe";
            return Err(what.to_owned());
        }
        words.stripe = Some(true);
    }
    Ok(words.kind())
}

fn layout(own: &Attributes, standard: &Attributes) -> Result<VolumeLayout, String> {
    let own_words = own.layout.kind();
    let mut own = own.clone();
    if own_words.is_none() {
        // Nothing of a layout was said: numbers add to that of the file, and may turn it around.
        let mut words = standard.layout;
        words.mirror = words.mirror.filter(|mirror| *mirror);
        words.stripe = words.stripe.filter(|stripe| *stripe || words.layered == Some(true));
        own.layout = words;
    }
    Ok(own_layout(&own)?.unwrap_or(VolumeLayout::Concat))
}

/// Which log, and how many; a type implies one, and so does `layout=log`.
fn logs(
    own: &Attributes,
    standard: &Attributes,
    layout: VolumeLayout,
) -> Result<(LogType, Option<u16>), String> {
    const NONE: (LogType, Option<u16>) = (LogType::None, None);
    let typed = own.log_type.map(|log_type| log_type != LogType::None);
    let counted = own.logs.map(|logs| logs > 0);
    let said = [own.layout.log, typed, counted];
    let (yes, no) = (said.contains(&Some(true)), said.contains(&Some(false)));
    if yes && no {
        return Err("layout=, logtype= and nlog= contradict each other about the log".to_owned());
    }
    let in_file = || {
        let typed = standard.log_type.is_some_and(|log_type| log_type != LogType::None);
        standard.layout.log.unwrap_or(typed)
    };
    let wanted = yes || (is_mirrored(layout) && in_file());
    if no || !wanted {
        return Ok(NONE);
    }
    let of_file = standard.log_type.filter(|log_type| *log_type != LogType::None);
    let log_type = own.log_type.or(of_file).unwrap_or(LogType::Region);
    Ok((log_type, own.logs.or_else(|| standard.logs.filter(|logs| *logs > 0))))
}

#[cfg(test)]
mod tests {
    use cvm::model::op::Init;

    use super::super::defaults;
    use super::*;
    use crate::vx;

    fn made(line: &str, file: &str) -> Result<Make, String> {
        let own = Attributes::of(line.split(' ').filter(|word| !word.is_empty()))?;
        make(vx::name("vol1").unwrap(), Some(2048), own, &defaults::parse(file).unwrap())
    }

    fn plain(layout: VolumeLayout) -> Make {
        Make::new(vx::name("vol1").unwrap(), Some(2048), layout)
    }

    #[test]
    fn attributes_become_a_volume() {
        use VolumeLayout::{Concat, Mirror, MirrorStripe, Stripe};
        assert_eq!(made("", ""), Ok(plain(Concat)));
        let two = Some(2);
        assert_eq!(made("nmirror=2", ""), Ok(Make { mirrors: two, ..plain(Mirror) }));
        assert_eq!(made("ncol=2", ""), Ok(Make { columns: two, ..plain(Stripe) }));
        assert_eq!(
            made("layout=mirror ncol=2", ""),
            Ok(Make { columns: two, ..plain(MirrorStripe) })
        );
        let log = Make { log_type: LogType::Region, ..plain(Mirror) };
        assert_eq!(made("layout=mirror,log", ""), Ok(log.clone()));
        assert_eq!(made("layout=mirror logtype=drl", ""), Ok(log.clone()));
        assert_eq!(made("layout=mirror nlog=2", ""), Ok(Make { logs: two, ..log }));
        assert_eq!(made("layout=mirror,nolog", ""), Ok(plain(Mirror)));
        assert_eq!(made("layout=mirror nlog=0", ""), Ok(plain(Mirror)));
        assert_eq!(made("layout=mirror logtype=none", ""), Ok(plain(Mirror)));
        let more = made("init=none exclusive=on usetype=gen comment=x layout=contig mode=640", "");
        let expected = Make {
            init: Init::None,
            exclusive: true,
            usage: "gen".to_owned(),
            comment: "x".to_owned(),
            contiguous: true,
            permissions: Permissions { mode: 0o640, ..Permissions::default() },
            ..plain(Concat)
        };
        assert_eq!(more, Ok(expected));
    }

    #[test]
    fn a_file_says_how_and_the_line_says_what() {
        use VolumeLayout::{Concat, Mirror, MirrorStripe, Stripe};
        let file = "layout=nomirror,nostripe,noregionlog nmirror=3 stripe_stwid=32k nregionlog=2";
        assert_eq!(made("", file), Ok(plain(Concat)));
        let three = Make { mirrors: Some(3), ..plain(Mirror) };
        assert_eq!(made("layout=mirror", file), Ok(three.clone()));
        assert_eq!(made("nmirror=2", file), Ok(Make { mirrors: Some(2), ..plain(Mirror) }));
        assert_eq!(made("layout=stripe", file), Ok(Make { width: Some(64), ..plain(Stripe) }));
        let log = Make { log_type: LogType::Region, logs: Some(2), ..three.clone() };
        assert_eq!(made("layout=mirror,log", file), Ok(log));
        // Types of layouts are not mixed: the line's counts.
        assert_eq!(made("layout=stripe", "layout=mirror,log"), Ok(plain(Stripe)));
        let log = Make { log_type: LogType::Sequential, ..plain(Mirror) };
        assert_eq!(made("", "layout=mirror logtype=drlseq"), Ok(log));
        assert_eq!(made("layout=nolog", "layout=mirror logtype=drlseq"), Ok(plain(Mirror)));
        let striped = Make { columns: Some(2), ..plain(MirrorStripe) };
        assert_eq!(made("ncol=2", "layout=mirror"), Ok(striped));
        let owned = made("user=a", "user=b group=c").unwrap().permissions;
        assert_eq!((owned.user.as_str(), owned.group.as_str()), ("a", "c"));
    }

    #[test]
    fn contradictions_are_told() {
        for (line, said) in [
            ("layout=concat ncol=2", "for striped layouts"),
            ("layout=concat-mirror stripeunit=64k", "for striped layouts"),
            ("layout=nomirror nmirror=2", "contradicts the number of mirrors"),
            ("layout=log logtype=none", "about the log"),
            ("layout=nolog nlog=1", "about the log"),
            ("nlog=0 logtype=drl", "about the log"),
        ] {
            let error = made(line, "").unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
