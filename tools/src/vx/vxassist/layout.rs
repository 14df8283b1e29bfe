//! `layout=`: a list of words of which each says one thing (facts 2.1).

use cvm::model::op::VolumeLayout;

/// What the words say; nothing where none of them said it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct LayoutWords {
    pub(super) mirror: Option<bool>,
    pub(super) stripe: Option<bool>,
    /// Mirrors below, not on top.
    pub(super) layered: Option<bool>,
    pub(super) contig: Option<bool>,
    pub(super) span: Option<bool>,
    pub(super) log: Option<bool>,
}

impl LayoutWords {
    /// Adds the words of a list.
    ///
    /// # Errors
    /// A word that is unknown, or contradicts another.
    pub(super) fn add(&mut self, list: &str) -> Result<(), String> {
        list.split(',').try_for_each(|word| self.add_word(word))
    }

    fn add_word(&mut self, word: &str) -> Result<(), String> {
        let (mirror, stripe, layered) = match word {
            "concat" => (None, Some(false), None),
            "stripe" => (None, Some(true), None),
            "nostripe" => (None, Some(false), None),
            "mirror" => (Some(true), None, None),
            "nomirror" => (Some(false), None, None),
            "mirror-concat" => (Some(true), Some(false), Some(false)),
            "mirror-stripe" => (Some(true), Some(true), Some(false)),
            "concat-mirror" => (Some(true), Some(false), Some(true)),
            "stripe-mirror" => (Some(true), Some(true), Some(true)),
            "contig" | "nocontig" => return set(&mut self.contig, word == "contig", word),
            "span" | "nospan" => return set(&mut self.span, word == "span", word),
            "log" | "regionlog" => return set(&mut self.log, true, word),
            "nolog" | "noregionlog" => return set(&mut self.log, false, word),
            // Everything is aligned, and nothing is RAID-5: these ask for what is so anyway.
            "diskalign" | "nodiskalign" | "raid5log" | "noraid5log" => return Ok(()),
            "raid5" => {
                return Err(
                    "layout=raid5: there is no RAID-5 here; shared disk groups cannot have \
                            it. mirror, stripe-mirror and concat-mirror survive a lost disk"
                        .to_owned(),
                );
            }
            _ => return Err(format!("layout={word}: expected a list of {WORDS}")),
        };
        for (field, value) in
            [(&mut self.mirror, mirror), (&mut self.stripe, stripe), (&mut self.layered, layered)]
        {
            if let Some(value) = value {
                set(field, value, word)?;
            }
        }
        Ok(())
    }

    /// How the volume is put together, if any word says so.
    pub(super) fn kind(&self) -> Option<VolumeLayout> {
        if (self.mirror, self.stripe) == (None, None) {
            return None;
        }
        let (mirror, stripe) = (self.mirror == Some(true), self.stripe == Some(true));
        Some(match (mirror, stripe, self.layered == Some(true)) {
            (false, false, _) => VolumeLayout::Concat,
            (false, true, _) => VolumeLayout::Stripe,
            (true, false, false) => VolumeLayout::Mirror,
            (true, false, true) => VolumeLayout::ConcatMirror,
            (true, true, false) => VolumeLayout::MirrorStripe,
            (true, true, true) => VolumeLayout::StripeMirror,
        })
    }

    /// Each plex, or column, is to be one range.
    pub(super) fn is_contiguous(&self, standard: &Self) -> bool {
        let contig = self.contig.or(standard.contig) == Some(true);
        contig || self.span.or(standard.span) == Some(false)
    }
}

fn set(field: &mut Option<bool>, value: bool, word: &str) -> Result<(), String> {
    match field.replace(value) {
        Some(before) if before != value => {
            Err(format!("layout={word} contradicts another word of the layout"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a volume like that has mirrors.
pub(super) const fn is_mirrored(kind: VolumeLayout) -> bool {
    match kind {
        VolumeLayout::Concat | VolumeLayout::Stripe => false,
        VolumeLayout::ConcatMirror
        | VolumeLayout::Mirror
        | VolumeLayout::MirrorStripe
        | VolumeLayout::StripeMirror => true,
    }
}

/// Whether it has columns.
pub(super) const fn is_striped(kind: VolumeLayout) -> bool {
    match kind {
        VolumeLayout::Concat | VolumeLayout::ConcatMirror | VolumeLayout::Mirror => false,
        VolumeLayout::MirrorStripe | VolumeLayout::Stripe | VolumeLayout::StripeMirror => true,
    }
}

/// The word for it.
pub(super) const fn word(kind: VolumeLayout) -> &'static str {
    match kind {
        VolumeLayout::Concat => "concat",
        VolumeLayout::ConcatMirror => "concat-mirror",
        VolumeLayout::Mirror => "mirror",
        VolumeLayout::MirrorStripe => "mirror-stripe",
        VolumeLayout::Stripe => "stripe",
        VolumeLayout::StripeMirror => "stripe-mirror",
    }
}

const WORDS: &str = "concat, mirror, stripe, mirror-concat, mirror-stripe, concat-mirror, \
                     stripe-mirror, nomirror, nostripe, contig, nocontig, span, nospan, log, nolog";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Result<LayoutWords, String> {
        let mut words = LayoutWords::default();
        words.add(list).map(|()| words)
    }

    #[test]
    fn words_together_are_a_layout() {
        for (list, kind) in [
            ("concat", VolumeLayout::Concat),
            ("nomirror,nostripe", VolumeLayout::Concat),
            ("stripe", VolumeLayout::Stripe),
            ("mirror", VolumeLayout::Mirror),
            ("mirror-concat", VolumeLayout::Mirror),
            ("mirror,stripe", VolumeLayout::MirrorStripe),
            ("stripe,mirror,log", VolumeLayout::MirrorStripe),
            ("mirror-stripe", VolumeLayout::MirrorStripe),
            ("stripe-mirror,contig", VolumeLayout::StripeMirror),
            ("concat-mirror", VolumeLayout::ConcatMirror),
        ] {
            assert_eq!(read(list).unwrap().kind(), Some(kind), "{list}");
        }
        assert_eq!(read("log,span").unwrap().kind(), None);
    }

    #[test]
    fn the_sample_of_the_administrators_guide_is_understood() {
        let words = read("nomirror,nostripe,span,nocontig,raid5log,noregionlog,diskalign").unwrap();
        assert_eq!(words.kind(), Some(VolumeLayout::Concat));
        assert_eq!((words.log, words.is_contiguous(&words)), (Some(false), false));
    }

    #[test]
    fn nonsense_says_what_was_expected() {
        for (list, said) in [
            ("raid5", "no RAID-5"),
            ("", "expected a list of concat"),
            ("mirror,", "expected a list of concat"),
            ("mirrors", "expected a list of concat"),
            ("concat,stripe", "contradicts"),
            ("mirror,nomirror", "contradicts"),
            ("mirror-stripe,stripe-mirror", "contradicts"),
            ("log,nolog", "contradicts"),
        ] {
            let error = read(list).unwrap_err();
            assert!(error.contains(said), "{list}: {error}");
        }
    }

    #[test]
    fn one_range_is_asked_for_in_two_ways() {
        let standard = read("nospan").unwrap();
        assert!(LayoutWords::default().is_contiguous(&standard));
        assert!(!read("span").unwrap().is_contiguous(&standard));
        assert!(read("contig").unwrap().is_contiguous(&LayoutWords::default()));
    }
}
