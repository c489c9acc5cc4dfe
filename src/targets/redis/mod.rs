//! `[[target.redis]]`: one server, by a fresh connection.
//!
//! A probe connects (`connect`, `tls`), says who it is (`auth`, where there is a
//! password), chooses the database (`select`, where one is named), asks `PING`
//! (`ping`) and reads the figures of `INFO` (`info`). Redis answers one question
//! after the other, so a `PING` in time means that it serves. A light probe leaves
//! out `info`.

mod outcome;
mod resp;
mod statistics;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;

use self::resp::{Conversation, Reply};
use super::course::Course;
use super::door::Door;
use super::outcome::Outcome;
use super::record::Recorder;
use super::{Depth, Probed, Surroundings, Target};
use crate::base::id::Name;
use crate::base::time::Clock;
use crate::config::address::Address;
use crate::config::target::redis::Redis;
use crate::runtime::credential::Credential;

const KIND: &str = "redis";

/// See the module.
pub struct RedisTarget {
    name: Name,
    address: Address,
    database: u32,
    user: Option<String>,
    password: Credential,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    recorder: Recorder,
    door: Door,
}

impl RedisTarget {
    pub fn new(section: Redis, surroundings: &Surroundings) -> Self {
        // What is no address was refused when the configuration was read.
        let (address, database) = section.place().unwrap_or_default();
        let password = Credential::of(
            section.password.as_ref(),
            section.password_file.as_deref(),
            section.password_env.as_deref(),
            &surroundings.environment,
        );
        Self {
            recorder: Recorder::new(section.name.clone(), KIND),
            name: section.name,
            door: Door::new(&address, address.scheme == "rediss", section.tls_ca_file, &[]),
            address,
            database,
            user: section.user,
            password,
            timeout: section.timeout.0,
            clock: surroundings.clock.clone(),
        }
    }

    async fn probe_once(&mut self, depth: Depth) -> Probed {
        let mut course = Course::start(&self.clock, self.timeout);
        let pinged = self.ping(&mut course).await;
        course
            .frame
            .gauge("redis_up", "Information about the Redis instance")
            .push(&[("target", self.name.as_str())], f64::from(u8::from(pinged.is_some())));
        if let Some(mut conversation) = pinged.filter(|_| depth == Depth::Full) {
            course.served();
            self.info(&mut conversation, &mut course).await;
        }
        course.finish(&mut self.recorder)
    }

    /// Everything up to `ping`; `None` when it did not go well.
    async fn ping(&mut self, course: &mut Course) -> Option<Conversation> {
        let line = self.door.open(course, &self.recorder).await?;
        let mut conversation = Conversation::on(line);
        let watch = course.watch();
        let password = match self.password.read(course.deadline).await {
            Ok(password) => password,
            Err(error) => {
                course.note("auth", &watch, Outcome::configuration("password", error.to_string()));
                return None;
            }
        };
        if let Some(password) = &password {
            let words: &[&str] = match &self.user {
                Some(user) => &["AUTH", user, password.expose()],
                None => &["AUTH", password.expose()],
            };
            let answer = ask(&mut conversation, words, course).await;
            course.step("auth", &watch, answer.map_err(outcome::without_echo))?;
        }
        if self.database != 0 {
            let watch = course.watch();
            let answer = ask(&mut conversation, &["SELECT", &self.database.to_string()], course).await;
            course.step("select", &watch, answer)?;
        }
        let watch = course.watch();
        let answer = ask(&mut conversation, &["PING"], course).await;
        let answer = answer.and_then(|answer| match answer {
            Reply::Text(text) if text == "PONG" => Ok(()),
            _ => Err(outcome::unexpected("PING")),
        });
        course.step("ping", &watch, answer)?;
        Some(conversation)
    }

    async fn info(&self, conversation: &mut Conversation, course: &mut Course) {
        let watch = course.watch();
        let answer = ask(conversation, &["INFO"], course).await;
        let answer = answer.and_then(|answer| match answer {
            Reply::Bulk(text) => Ok(text),
            _ => Err(outcome::unexpected("INFO")),
        });
        if let Some(text) = course.step("info", &watch, answer) {
            statistics::write(&text, self.name.as_str(), &mut course.frame);
        }
    }
}

/// One question and its answer by the deadline of the probe.
async fn ask(conversation: &mut Conversation, words: &[&str], course: &Course) -> Result<Reply, Outcome> {
    match timeout_at(course.deadline, conversation.ask(words)).await {
        Ok(Ok(Reply::Error(text))) => Err(outcome::of_error(&text)),
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(outcome::of_io(&error)),
        // The first word is the command; what follows may be a password.
        Err(_) => Err(Outcome::timeout(format!("no answer to {} in time", words.first().unwrap_or(&"")))),
    }
}

impl Target for RedisTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn address(&self) -> String {
        self.address.shown()
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn probe(&mut self, depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
        Box::pin(self.probe_once(depth))
    }
}
