//! A browser as far as a sign-in needs one: it keeps cookies by site, follows redirects and fills in one form.
use crate::support::{Actor, Reply};
use benchside::id::PersonId;
use oauth2::url::{Url, form_urlencoded};
use std::{cell::RefCell, collections::BTreeMap};
use uuid::Uuid;

/// Cookies by origin, then by name.
#[derive(Default)]
pub struct Browser(RefCell<BTreeMap<String, BTreeMap<String, String>>>);

/// Where a sign-in at a provider ended: the address the browser is sent back to, and how often a form was shown.
pub struct Back {
    pub url: String,
    pub forms: usize,
}

impl Browser {
    pub fn get(&self, url: &str) -> Reply {
        self.send("GET", url, None)
    }

    fn send(&self, method: &str, url: &str, form: Option<&str>) -> Reply {
        let url = Url::parse(url).unwrap();
        let origin = url.origin().ascii_serialization();
        let path = &url[oauth2::url::Position::BeforePath..oauth2::url::Position::AfterQuery];
        let nobody = Actor {
            id: PersonId::of(Uuid::nil()),
            name: "a browser".into(),
            email: String::new(),
            token: String::new(),
            base: origin.clone(),
        };
        let kept = self.cookies(&origin);
        let cookies: Vec<_> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("cookie", &*cookies)];
        if form.is_some() {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let reply = nobody.send(method, path, &headers, form.map(str::as_bytes));
        let mut jar = self.0.borrow_mut();
        let site = jar.entry(origin).or_default();
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                site.remove(name);
            } else {
                site.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    pub fn cookies(&self, origin: &str) -> BTreeMap<String, String> {
        self.0.borrow().get(origin).cloned().unwrap_or_default()
    }

    /// Goes where `start` leads and signs in as `login` where it is asked who it is, up to the address that leads back.
    pub fn authenticates(&self, start: &str, login: &str) -> Back {
        let mut at = Url::parse(start).unwrap();
        let mut reply = self.get(at.as_str());
        let mut forms = 0;
        for _ in 0..20 {
            if let Some(location) = &reply.location {
                at = at.join(location).unwrap();
                if at.path().ends_with("/callback") {
                    return Back { url: at.into(), forms };
                }
                reply = self.get(at.as_str());
            } else {
                assert_eq!(reply.status, 200, "{at}: {:#}", reply.body);
                let form = form_urlencoded::Serializer::new(String::new()).append_pair("login", login).finish();
                forms += 1;
                reply = self.send("POST", at.as_str(), Some(&form));
            }
        }
        panic!("the sign-in goes round in a circle at {at}");
    }
}
