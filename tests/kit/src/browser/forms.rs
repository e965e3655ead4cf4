//! The forms of a page: enough of HTML for the pages of providers in development.

/// A form, filled in as the page has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) post: bool,
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Form {
    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut String> {
        self.fields
            .iter_mut()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

pub(super) fn parse(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut current: Option<Form> = None;
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (tag, after) = tag(&rest[start + 1..]);
        rest = after;
        match tag.name.as_str() {
            "form" => {
                let post = tag
                    .attribute("method")
                    .is_some_and(|method| method.eq_ignore_ascii_case("post"));
                current = Some(Form {
                    post,
                    action: tag.attribute("action").unwrap_or_default().to_owned(),
                    fields: Vec::new(),
                });
            }
            "/form" => forms.extend(current.take()),
            "script" | "style" => {
                let end = format!("</{}", tag.name);
                rest = rest.find(&end).map_or("", |end| &rest[end..]);
            }
            "input" | "button" => {
                let sent = match tag
                    .attribute("type")
                    .map(str::to_ascii_lowercase)
                    .as_deref()
                {
                    Some("checkbox" | "radio") => tag.attribute("checked").is_some(),
                    Some("reset" | "button" | "image") => false,
                    _ => true,
                };
                if let (Some(form), Some(name), true) = (&mut current, tag.attribute("name"), sent)
                {
                    form.fields.push((
                        name.to_owned(),
                        tag.attribute("value").unwrap_or_default().to_owned(),
                    ));
                }
            }
            _ => {}
        }
    }
    forms
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a tag after its `<`, and says what follows its `>`.
fn tag(text: &str) -> (Tag, &str) {
    let end_of_name = text
        .find(|c: char| c.is_whitespace() || c == '>')
        .unwrap_or(text.len());
    let mut tag = Tag {
        name: text[..end_of_name]
            .trim_end_matches('/')
            .to_ascii_lowercase(),
        attributes: Vec::new(),
    };
    let mut rest = &text[end_of_name..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        if rest.is_empty() {
            return (tag, rest);
        }
        // At least one character, so that a stray sign cannot hold the reader up.
        let length = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))
            .unwrap_or(rest.len());
        let length = length.max(rest.chars().next().map_or(0, char::len_utf8));
        let name = rest[..length].to_ascii_lowercase();
        rest = rest[length..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (raw, following) = match quote {
                Some(quote) => after[1..]
                    .split_once(quote)
                    .unwrap_or_else(|| (&after[1..], "")),
                None => after.split_at(
                    after
                        .find(|c: char| c.is_whitespace() || c == '>')
                        .unwrap_or(after.len()),
                ),
            };
            value = unescape(raw);
            rest = following;
        }
        tag.attributes.push((name, value));
    }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}
