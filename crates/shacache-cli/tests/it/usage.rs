//! Command lines of the old names: what Python's argparse accepts is accepted, what it refuses is
//! refused, with the same exit code.

use std::fs;

use crate::programs::{command, run, said};
use crate::reference::{Reference, Which};

#[test]
fn exit_codes_are_those_of_the_original() {
    let reference = Reference::start();
    let config = reference.config();
    let config = config.to_str().unwrap();
    let file = reference.path("file");
    fs::write(&file, "content").unwrap();
    let file = file.to_str().unwrap();
    for (name, text) in [("list.json", "[1]"), ("bad.json", "{"), ("ok.json", "{\"a\": 1}")] {
        fs::write(reference.path(name), text).unwrap();
    }
    fs::write(reference.path("no-section.cfg"), "[other]\na = 1\n").unwrap();
    fs::write(reference.path("percent.cfg"), "[networkcache]\nunrelated = 5%\n").unwrap();
    let lines = [
        "networkcache-upload -c CFG -f FILE",
        "networkcache-upload -c CFG -f FILE ignored",
        "networkcache-upload -c CFG -f FILE -k k1 a=b",
        "networkcache-upload a=b -c CFG -f FILE -k k2",
        "networkcache-upload -cCFG -fFILE -kk3 a=b",
        "networkcache-upload --conf CFG --fi FILE --ke k4 a=b",
        "networkcache-upload --config=CFG --file=FILE --key=k5 -- a=b",
        "networkcache-upload -c CFG a=b -f FILE c=d -k k",
        "networkcache-upload -c CFG -f FILE -k k",
        "networkcache-upload -c CFG -f FILE -k k a",
        "networkcache-upload -c CFG -f FILE -k k sha512=x",
        "networkcache-upload -c CFG -f FILE -k k key=x",
        "networkcache-upload -c CFG -f FILE -k k self=x",
        "networkcache-upload -c CFG -f FILE -k k -m DIR/ok.json",
        "networkcache-upload -c CFG -f FILE -k k -m DIR/bad.json",
        "networkcache-upload -c CFG -f FILE -k k -m DIR/list.json",
        "networkcache-upload -c CFG -f FILE -k k -m DIR/missing.json",
        "networkcache-upload -c CFG -f DIR/missing -k k a=b",
        "networkcache-upload -c CFG -k k a=b",
        "networkcache-upload -c CFG",
        "networkcache-upload -c CFG -u plain-word",
        "networkcache-upload -c CFG -u file://FILE",
        "networkcache-upload -c CFG -u file:///does/not/exist",
        "networkcache-upload -c CFG -u http://127.0.0.1:1/x",
        "networkcache-upload -c CFG -u x -k y -f FILE",
        "networkcache-upload -f FILE",
        "networkcache-upload -c DIR/missing.cfg -f FILE",
        "networkcache-upload -c DIR/no-section.cfg -f FILE",
        "networkcache-upload -c DIR/percent.cfg -f FILE",
        "networkcache-upload -c CFG -f FILE --unknown",
        "networkcache-upload -c CFG -f FILE -k",
        "networkcache-upload --help",
        "networkcache-upload -c CFG -h --unknown",
        "networkcache-upload -c DIR/missing.cfg -h",
        "networkcache-download -c CFG -k k1",
        "networkcache-download -c CFG -lk k1",
        "networkcache-download -c CFG -lkk1",
        "networkcache-download -c CFG -l -k k1 a==\"b\"",
        "networkcache-download -c CFG -l -k k1 a==b",
        "networkcache-download -c CFG -l -k k1 a=b",
        "networkcache-download a==\"b\" -c CFG -l -k k1",
        "networkcache-download -c CFG a==\"b\" -l -k k1",
        "networkcache-download -c CFG a==\"b\" -l a==\"b\" -k k1",
        "networkcache-download -c CFG -k k1 a==\"c\"",
        "networkcache-download -c CFG -k missing",
        "networkcache-download -c CFG -u missing",
        "networkcache-download -c CFG -u",
        "networkcache-download -c CFG",
        "networkcache-download -c CFG -k k1 -u x",
        "networkcache-download -c CFG --list=1 -k k1",
        "networkcache-download -c CFG -k k1 -5",
        "networkcache-download -c CFG --l -k k1",
        "networkcache-download -c CFG --li -k= ",
        "networkcache-download -c - -k k1",
        "networkcache-download",
        "generate-signature-key",
        "generate-signature-key a",
        "generate-signature-key a b c",
        "generate-signature-key CFG name",
        "generate-signature-key DIR/new --cert-file CFG name",
        "generate-signature-key DIR/missing/new name",
        "generate-signature-key --cert DIR/cert-WHICH DIR/key-WHICH name",
        "generate-signature-key DIR/key2-WHICH --cert=DIR/cert2-WHICH name",
        "generate-signature-key -h",
    ];
    for line in lines {
        let [old, new] = [Which::Old, Which::New].map(|which| {
            let line = line
                .replace("CFG", config)
                .replace("FILE", file)
                .replace("DIR", reference.folder().to_str().unwrap())
                .replace("WHICH", &format!("{which:?}"));
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            let mut command = command(reference.program(which, words.next().unwrap()));
            run(command.args(words).current_dir(reference.folder()))
        });
        assert_eq!(new.status.code(), old.status.code(), "{line}: {}\n{}", said(&old), said(&new));
        if !line.starts_with("generate") && !line.contains("-h") {
            assert_eq!(new.stdout, old.stdout, "{line}: {}", said(&new));
        }
    }
}
