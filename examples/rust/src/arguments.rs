// SPDX-License-Identifier: MIT

/// What the command line says.
pub struct Arguments {
    pub store: String,
    pub listen: String,
    pub limit: String,
    pub name: String,
}

impl Arguments {
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let store = std::env::var("TIDEGATE_URL").unwrap_or_else(|_| "memory://".into());
        let mut read = Self {
            store,
            listen: "127.0.0.1:8080".into(),
            limit: "60/minute".into(),
            name: "api".into(),
        };
        while let Some(word) = words.next() {
            let place = match word.as_str() {
                "--store" => &mut read.store,
                "--listen" => &mut read.listen,
                "--limit" => &mut read.limit,
                "--name" => &mut read.name,
                _ => return Err(format!("{word}: expected --store, --listen, --limit or --name")),
            };
            *place = words.next().ok_or_else(|| format!("{word}: expected a value after it"))?;
        }
        Ok(read)
    }
}
