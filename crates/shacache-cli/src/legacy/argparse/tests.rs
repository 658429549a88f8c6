use super::*;

fn parse(line: &str) -> Result<String, u8> {
    let parser = Parser::new("p")
        .option(Some('c'), "config", "")
        .required("config")
        .option(Some('k'), "key", "")
        .option(Some('u'), "url", "")
        .exclusive(["key", "url"])
        .one_required()
        .flag('l', "list", "")
        .positionals(Positionals::Any("meta"));
    let arguments: Vec<String> = line.split_ascii_whitespace().map(Into::into).collect();
    match parser.parse(&arguments, |_, _| Ok(None)) {
        Ok(found) => {
            let mut all: Vec<_> =
                found.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
            all.sort();
            all.extend(found.positionals);
            Ok(all.join(" "))
        }
        Err(Failure::Help(_)) => Err(0),
        Err(Failure::Failed(_)) => Err(1),
        Err(Failure::Usage(_)) => Err(2),
    }
}

#[test]
fn options_take_every_form_that_python_takes() {
    for line in [
        "-c C -k K",
        "-cC -kK",
        "-c=C --key=K",
        "--config C --k K",
        "--conf=C --ke=K",
        "-k K -c D -c C",
    ] {
        assert_eq!(parse(line), Ok("config=C key=K".into()), "{line}");
    }
    assert_eq!(parse("-cC -lkK"), Ok("config=C key=K list=".into()));
    assert_eq!(parse("-cC -lk K"), Ok("config=C key=K list=".into()));
    assert_eq!(parse("-cC -k -5"), Ok("config=C key=-5".into()));
    assert_eq!(parse("-cC --key="), Ok("config=C key=".into()));
}

#[test]
fn positionals_stand_in_one_group_anywhere() {
    for line in ["a b -cC -kK", "-cC a b -kK", "-cC -kK a b", "-cC -kK -- a b", "-cC -kK a -- b"] {
        assert_eq!(parse(line), Ok("config=C key=K a b".into()), "{line}");
    }
    assert_eq!(parse("-cC a -kK b"), Err(2));
    assert_eq!(parse("-cC -kK -- -x -- y"), Ok("config=C key=K -x -- y".into()));
}

#[test]
fn wrong_usage_is_told() {
    for line in [
        "",
        "-cC",
        "-kK",
        "-cC -kK -uU",
        "-cC -kK -x",
        "-cC -kK --lis=t",
        "-cC -k",
        "-cC -k -l",
        "-cC -kK --nope",
        "-cC -k -- K",
        "-cC -kK -lx",
    ] {
        assert_eq!(parse(line), Err(2), "{line}");
    }
    assert_eq!(parse("-cC -h"), Err(0));
    assert_eq!(parse("--nope -h"), Err(0));
}
