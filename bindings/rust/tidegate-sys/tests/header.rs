// SPDX-License-Identifier: MIT
//! Everything that is declared here, held against `tidegate.h` by a C compiler.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tidegate_sys::{CONSTANTS, FUNCTIONS, RECORDS, TG_LAYOUT};

fn header_folder() -> PathBuf {
    match env::var_os("TIDEGATE_INCLUDE_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../capi/include")),
    }
}

/// The headers that are declared here: tidegate.h includes the others.
fn header() -> String {
    let read = |name: &str| {
        let path = header_folder().join(name);
        fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    };
    ["tidegate.h", "tidegate_cache.h", "tidegate_guard.h", "tidegate_stats.h"].map(read).join("\n")
}

/// Compiles a C program against the header, warnings being errors, and returns what it prints.
fn run_c(name: &str, program: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (source, binary) = (folder.join(format!("{name}.c")), folder.join(name));
    fs::write(&source, program).unwrap();
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-c", "-I"])
        .arg(header_folder())
        .arg("-o")
        .arg(binary.with_extension("o"))
        .arg(&source)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    if !program.contains("int main") {
        return String::new();
    }
    let linked =
        Command::new("cc").arg(binary.with_extension("o")).arg("-o").arg(&binary).status().unwrap();
    assert!(linked.success());
    String::from_utf8(Command::new(&binary).output().unwrap().stdout).unwrap()
}

/// `*const tg_part` in C: `const tg_part *`.
fn c_type(rust: &str) -> String {
    if let Some(pointee) = rust.strip_prefix("*mut ") {
        return format!("{} *", c_type(pointee));
    }
    if let Some(pointee) = rust.strip_prefix("*const ") {
        return format!("const {} *", c_type(pointee));
    }
    let plain = match rust {
        "i32" => "int32_t",
        "u32" => "uint32_t",
        "i64" => "int64_t",
        "u64" => "uint64_t",
        "u8" => "uint8_t",
        "usize" => "size_t",
        "isize" => "intptr_t",
        "c_char" => "char",
        "c_void" | "()" => "void",
        other => other,
    };
    plain.to_string()
}

#[test]
fn records_have_the_layout_of_the_header() {
    let mut program =
        String::from("#include <stdio.h>\n#include \"tidegate.h\"\nint main(void) {\n");
    let mut expected = String::new();
    for record in RECORDS {
        writeln!(program, "printf(\"{0} %zu\\n\", sizeof({0}));", record.name).unwrap();
        writeln!(expected, "{} {}", record.name, record.size).unwrap();
        for (field, offset, _) in record.fields {
            let name = record.name;
            writeln!(
                program,
                "printf(\"{name}.{field} %zu %zu\\n\", offsetof({name}, {field}), \
                 sizeof((({name}*)0)->{field}));"
            )
            .unwrap();
            writeln!(expected, "{name}.{field} {offset} {}", field_size(record, offset)).unwrap();
        }
    }
    program.push_str("printf(\"%llu\\n\", (unsigned long long)TG_LAYOUT);\nreturn 0; }\n");
    writeln!(expected, "{TG_LAYOUT}").unwrap();
    assert_eq!(run_c("layout", &program), expected);
}

/// No record has padding between its fields: a field ends where the next one starts.
fn field_size(record: &tidegate_sys::Record, offset: &usize) -> usize {
    let next = record.fields.iter().map(|field| field.1).find(|other| other > offset);
    next.unwrap_or(record.size) - offset
}

#[test]
fn fields_have_the_types_of_the_header() {
    let mut program = String::from("#include \"tidegate.h\"\n");
    for record in RECORDS {
        for (field, _, kind) in record.fields {
            let access = format!("(({}*)0)->{field}", record.name);
            let (access, kind) = match kind.strip_prefix('[').and_then(|k| k.split_once(';')) {
                Some((element, _)) => (format!("{access}[0]"), c_type(element)),
                None => (access, c_type(kind)),
            };
            writeln!(
                program,
                "_Static_assert(__builtin_types_compatible_p(__typeof__({access}), {kind}), \
                 \"{}.{field}\");",
                record.name
            )
            .unwrap();
        }
    }
    run_c("fields", &program);
}

#[test]
fn functions_have_the_types_of_the_header() {
    let mut program = String::from("#include \"tidegate.h\"\n");
    for (name, arguments, result) in FUNCTIONS {
        let list: Vec<_> = arguments.iter().map(|argument| c_type(argument)).collect();
        let list = if list.is_empty() { "void".into() } else { list.join(", ") };
        let result = c_type(result);
        writeln!(program, "extern {result} (*check_{name})({list});").unwrap();
        writeln!(program, "{result} (*check_{name})({list}) = {name};").unwrap();
    }
    run_c("functions", &program);
}

#[test]
fn constants_have_the_values_of_the_header() {
    let mut program =
        String::from("#include <stdio.h>\n#include \"tidegate.h\"\nint main(void) {\n");
    let mut expected = String::new();
    for (name, value) in CONSTANTS {
        writeln!(program, "printf(\"{name} %lld\\n\", (long long){name});").unwrap();
        writeln!(expected, "{name} {value}").unwrap();
    }
    program.push_str("return 0; }\n");
    assert_eq!(run_c("constants", &program), expected);
}

/// The words of the header that start with `prefix`, comments left out.
fn words(prefix: &str) -> Vec<String> {
    let mut text = header();
    while let Some(start) = text.find("/*") {
        let end = text[start..].find("*/").unwrap() + start + 2;
        text.replace_range(start..end, " ");
    }
    let mut found: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(prefix))
        .map(String::from)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn nothing_of_the_header_is_missing() {
    // Macros that stand for a declared function or are functions and texts here.
    let macros = [
        "tg_cache_open",
        "tg_call",
        "tg_check_entries",
        "tg_client_next_event",
        "tg_client_on_event",
        "tg_client_stats",
        "tg_decision_headers",
        "tg_decision_problem",
        "tg_decision_status",
        "tg_guard_finish",
        "tg_guard_open",
        "tg_limiter_change",
        "tg_limiter_open",
        "tg_limiter_rates",
        "tg_request_key",
        "tg_ring_open",
        "TG_KIND_FLAGS",
        "TG_LAYOUT",
        "TG_SOURCE",
        "TG_SOURCE_FLAGS",
        "TG_TEXT",
        "TG_VERSION",
    ];
    let types = ["tg_client", "tg_event_fn", "tg_options", "tg_ring"];
    for word in words("tg_").into_iter().chain(words("TG_")) {
        let is_here = FUNCTIONS.iter().any(|function| function.0 == word)
            || RECORDS.iter().any(|record| record.name == word)
            || CONSTANTS.iter().any(|constant| constant.0 == word);
        let is_known = macros.contains(&word.as_str()) || types.contains(&word.as_str());
        assert!(is_here || is_known, "{word} is in the headers and not in tidegate-sys");
    }
}

#[test]
fn the_package_has_the_version_of_the_header() {
    let line = format!("#define TG_VERSION \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(header().contains(&line), "tidegate.h does not say {line}");
}

#[test]
fn the_library_answers() {
    // SAFETY: these take and keep nothing.
    let (abi, version) =
        unsafe { (tidegate_sys::tg_abi(), std::ffi::CStr::from_ptr(tidegate_sys::tg_version())) };
    assert_eq!(abi, tidegate_sys::TG_ABI);
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
}
