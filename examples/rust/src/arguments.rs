// SPDX-License-Identifier: MIT

/// What the command line says.
pub struct Arguments {
    pub store: String,
    pub listen: String,
    pub policy: String,
}

impl Arguments {
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let store = std::env::var("TIDEGATE_URL").unwrap_or_else(|_| "memory://".into());
        let mut read = Self {
            store,
            listen: "127.0.0.1:8080".into(),
            policy: concat!(env!("CARGO_MANIFEST_DIR"), "/../policy.yaml").into(),
        };
        while let Some(word) = words.next() {
            let place = match word.as_str() {
                "--store" => &mut read.store,
                "--listen" => &mut read.listen,
                "--policy" => &mut read.policy,
                _ => return Err(format!("{word}: expected --store, --listen or --policy")),
            };
            *place = words.next().ok_or_else(|| format!("{word}: expected a value after it"))?;
        }
        Ok(read)
    }
}
