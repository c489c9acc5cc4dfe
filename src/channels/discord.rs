//! `[[channel.discord]]`: the webhook of a channel.
//!
//! Discord reads Markdown everywhere, so what it would read is escaped, and nobody is
//! mentioned whatever the text says.

use serde_json::json;

use super::look::Look;
use super::web::{Draft, Preset, Told, WebChannel, hidden_origin};
use super::{Made, Surroundings, credential};
use crate::base::words::clip_by;
use crate::config::channel::Section as _;
use crate::config::channel::discord::Discord;
use crate::runtime::credential::Credential;

/// Longest text of an embed, UTF-16 units; Discord takes 4096.
const LONGEST: usize = 4000;

struct Hook {
    url: Credential,
}

/// See the module.
pub(super) fn make(section: &Discord, surroundings: &Surroundings) -> Made {
    let hook = Hook { url: credential!(section, url, url_file, url_env, surroundings) };
    Made {
        address: hidden_origin(section.url.as_ref()),
        channel: WebChannel::boxed(hook, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

impl Preset for Hook {
    fn kind(&self) -> &'static str {
        Discord::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.url]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let message = &told.message;
        let document = json!({
            "content": escaped(&message.title),
            "embeds": [{
                "description": clip_by(&escaped(&message.text), LONGEST, char::len_utf16),
                "color": Look::of(message).colour,
                "timestamp": message.created_at,
            }],
            "allowed_mentions": {"parse": []},
        });
        Ok(vec![Draft::json(told.secret(0).expose(), &document).with_secret_url()])
    }
}

/// Markdown as text; a link stays one.
fn escaped(text: &str) -> String {
    let word = |word: &str| {
        if word.starts_with("http://") || word.starts_with("https://") {
            return word.to_owned();
        }
        let special = |c: char| "\\*_~`|>#[]".contains(c);
        word.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
    };
    text.split_inclusive([' ', '\n']).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_text_and_links_are_links() {
        assert_eq!(escaped("a_b *c* http://h/a_b\nd_"), "a\\_b \\*c\\* http://h/a_b\nd\\_");
    }
}
