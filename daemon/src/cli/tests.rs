//! What a command line means, with the options of a router as the example.

use clap::{Parser, error::ErrorKind};

use super::*;

const REFERENCE_ROUTER: &[&str] = &[
    "server-endpoint",
    "controller-endpoint",
    "num-threads",
    "configuration-endpoint",
    "router-conf",
    "fake-num-lambdas",
    "fake-num-destinations",
    "secure",
    "server-conf",
    "table-conf",
    "optimizer-conf",
];

/// A router
#[derive(Debug, Parser)]
#[command(name = "edgerouter", version = "1.2.3")]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    #[arg(long)]
    server_endpoint: Option<String>,
    #[arg(long)]
    controller_endpoint: Option<String>,
    #[arg(long)]
    num_threads: Option<usize>,
    #[arg(long)]
    configuration_endpoint: Option<String>,
    #[arg(long)]
    router_conf: Option<String>,
    #[arg(long)]
    server_conf: Option<String>,
    #[arg(long)]
    table_conf: Option<String>,
    #[arg(long)]
    secure: bool,
}

fn read(arguments: &[&str]) -> Result<Flags, clap::Error> {
    let arguments = [&["edgerouter"], arguments].concat();
    parse(arguments, REFERENCE_ROUTER)
}

fn refusal(arguments: &[&str]) -> ErrorKind {
    read(arguments).unwrap_err().kind()
}

#[test]
fn the_commands_assertions_hold() {
    command::<Flags>(REFERENCE_ROUTER).debug_assert();
}

#[test]
fn what_is_no_number_is_told_in_words() {
    /// Numbers of all kinds
    #[derive(Debug, Parser)]
    struct Numbers {
        #[arg(long)]
        whole: Option<u16>,
        #[arg(long)]
        positive: Option<std::num::NonZeroU32>,
        #[arg(long, allow_hyphen_values = true, value_delimiter = ',')]
        any: Vec<f64>,
        #[arg(long, value_parser = clap::value_parser!(u32).range(5..))]
        more: Option<u32>,
    }
    let said = |argument: &str| {
        let error = parse::<Numbers>(["numbers", argument], &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    };
    for (argument, expected) in [
        (
            "--whole=foo",
            "error: invalid value 'foo' for '--whole <WHOLE>': expected a whole number",
        ),
        (
            "--whole=1.5",
            "error: invalid value '1.5' for '--whole <WHOLE>': expected a whole number",
        ),
        (
            "--positive=0",
            "error: invalid value '0' for '--positive <POSITIVE>': expected a whole number, 1 or more",
        ),
        (
            "--any=1,x",
            "error: invalid value 'x' for '--any <ANY>': expected a number",
        ),
    ] {
        assert_eq!(said(argument), expected);
    }
    // What clap says of ranges is plain already.
    assert!(said("--whole=70000").contains("70000 is not in 0..=65535"));
    assert!(said("--more=4").contains("4 is not in 5..="));
    assert!(said("--more=x").contains("expected a whole number"));
}

#[test]
fn abbreviations_of_the_reference_work() {
    assert_eq!(
        read(&["--configuration", "a:1"])
            .unwrap()
            .configuration_endpoint,
        Some("a:1".to_owned())
    );
    // `--confi` begins only one of the reference's options, `--conf` is one of ours.
    assert_eq!(
        read(&["--confi=a:1"]).unwrap().configuration_endpoint,
        Some("a:1".to_owned())
    );
    let flags = read(&[
        "--controller",
        "b:2",
        "--table",
        "type=random",
        "--server-e",
        "c:3",
    ])
    .unwrap();
    assert_eq!(flags.controller_endpoint, Some("b:2".to_owned()));
    assert_eq!(flags.table_conf, Some("type=random".to_owned()));
    assert_eq!(flags.server_endpoint, Some("c:3".to_owned()));
    assert_eq!(read(&["--n", "4"]).unwrap().num_threads, Some(4));
    assert!(read(&["--sec"]).unwrap().secure);
}

#[test]
fn every_unambiguous_prefix_of_the_reference_means_its_option() {
    let command = command::<Flags>(REFERENCE_ROUTER);
    let ours: Vec<_> = command.get_arguments().filter_map(Arg::get_long).collect();
    let mut checked = 0;
    for option in REFERENCE_ROUTER
        .iter()
        .filter(|option| ours.contains(option))
    {
        for prefix in (1..=option.len()).map(|length| &option[..length]) {
            let sharing = REFERENCE_ROUTER
                .iter()
                .filter(|other| other.starts_with(prefix));
            let ambiguous = sharing.count() > 1 || ours.contains(&prefix);
            if ambiguous && prefix != *option {
                continue;
            }
            let arg = command.get_arguments().find(|arg| {
                arg.get_long() == Some(prefix)
                    || arg
                        .get_all_aliases()
                        .is_some_and(|all| all.contains(&prefix))
            });
            assert_eq!(arg.and_then(Arg::get_long), Some(*option), "--{prefix}");
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}

#[test]
fn what_was_ambiguous_and_is_stays_an_error() {
    for ambiguous in ["--server", "--serv", "--con", "--se"] {
        assert_eq!(
            refusal(&[ambiguous, "x"]),
            ErrorKind::UnknownArgument,
            "{ambiguous}"
        );
    }
}

#[test]
fn our_own_conf_wins_over_the_prefix() {
    let flags = read(&["--conf", "router.toml"]).unwrap();
    assert_eq!(flags.common.conf, [ConfArg::File("router.toml".into())]);
    assert_eq!(flags.configuration_endpoint, None);
}

#[test]
fn our_own_options_can_be_abbreviated_too() {
    assert!(read(&["--check"]).unwrap().common.check_config);
    assert!(read(&["--print"]).unwrap().common.print_config);
}

#[test]
fn an_option_of_ours_is_not_taken_over_by_one_we_dropped() {
    // `--fake-num-lambdas` does not exist here.
    assert_eq!(
        refusal(&["--fake-num-lambdas", "1"]),
        ErrorKind::UnknownArgument
    );
}

#[test]
fn help_and_version_succeed_and_usage_errors_exit_2() {
    for help in ["--help", "-h", "--h"] {
        let error = read(&[help]).unwrap_err();
        assert_eq!(
            (error.kind(), error.exit_code()),
            (ErrorKind::DisplayHelp, 0),
            "{help}"
        );
    }
    for version in ["--version", "-v", "-V", "--v"] {
        let error = read(&[version]).unwrap_err();
        assert_eq!(
            (error.kind(), error.exit_code()),
            (ErrorKind::DisplayVersion, 0),
            "{version}"
        );
        assert!(error.to_string().contains("1.2.3"));
    }
    for wrong in [
        &["--nonsense"][..],
        &["--num-threads", "x"],
        &["--log", "loud"],
        &["positional"],
    ] {
        assert_eq!(read(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
    }
}

#[test]
fn the_aliases_are_hidden_from_the_help() {
    let help = command::<Flags>(REFERENCE_ROUTER)
        .render_long_help()
        .to_string();
    assert!(help.contains("--configuration-endpoint"));
    assert!(!help.contains("--configuration-e "));
    assert!(!help.contains("alias"));
}

#[test]
fn conf_is_a_conf_string_where_it_has_an_equals_sign() {
    let flags = read(&["--conf", "a.toml", "--conf", "type=x,k=1"]).unwrap();
    let expected = [
        ConfArg::File("a.toml".into()),
        ConfArg::Inline("type=x,k=1".to_owned()),
    ];
    assert_eq!(flags.common.conf, expected);
}

#[test]
fn the_common_options_do_not_claim_the_programs_own() {
    let command = command::<Flags>(REFERENCE_ROUTER);
    let heading = |long: &str| {
        let mut arguments = command.get_arguments();
        let arg = arguments.find(|arg| arg.get_long() == Some(long)).unwrap();
        arg.get_help_heading()
    };
    assert_eq!(heading("conf"), Some("Common options"));
    assert_eq!(heading("table-conf"), None);
}

#[test]
fn nothing_is_set_by_default() {
    let flags = read(&[]).unwrap();
    assert_eq!(flags.common.log, None);
    assert_eq!(flags.common.admin_endpoint, None);
    assert_eq!(flags.num_threads, None);
}

#[test]
fn tips_name_options_as_the_help_shows_them() {
    let message = |wrong: &str| read(&[wrong]).unwrap_err().to_string();
    assert!(message("--sever-endpoint").contains("'--server-endpoint'"));
    assert!(message("--nun-threads").contains("'--num-threads'"));
    for stranger in ["--seed", "--k", "--zzz"] {
        let message = message(stranger);
        assert!(!message.contains("similar"), "{message}");
        assert!(!message.contains("edgerouter --"), "{message}");
    }
}

#[test]
fn tips_name_options_of_subcommands() {
    #[derive(Debug, Parser)]
    enum Tool {
        Demo {
            #[arg(long)]
            seconds: Option<u32>,
        },
    }
    let error = parse::<Tool>(["tool", "demo", "--secnds", "1"], &[]).unwrap_err();
    assert!(error.to_string().contains("'--seconds'"), "{error}");
    let Tool::Demo { seconds } = parse(["tool", "demo", "--seconds", "1"], &[]).unwrap();
    assert_eq!(seconds, Some(1));
}

#[test]
fn a_negative_number_is_the_value_of_the_option_before_it() {
    #[derive(Debug, Parser)]
    enum Tool {
        Wait {
            #[arg(long)]
            seconds: Option<f64>,
            #[arg(long)]
            times: Option<u32>,
            #[arg(long)]
            quick: bool,
        },
    }
    let arguments = ["tool", "wait", "--seconds", "-1.5", "--quick"];
    let Tool::Wait { seconds, quick, .. } = parse(arguments, &[]).unwrap();
    assert_eq!((seconds, quick), (Some(-1.5), true));

    let refused = |rest: [&str; 2]| {
        let arguments = [&["tool", "wait"], &rest[..]].concat();
        parse::<Tool>(arguments, &[]).unwrap_err().to_string()
    };
    let text = refused(["--times", "-1"]);
    assert!(text.contains("'-1' for '--times <TIMES>'"), "{text}");
    let text = refused(["--quick", "-1"]);
    assert!(text.contains("unexpected argument '-1'"), "{text}");
}

#[test]
fn what_is_no_number_is_told_with_the_usage_of_its_subcommand() {
    #[derive(Debug, Parser)]
    enum Tool {
        Wait {
            #[arg(long)]
            times: Option<std::num::NonZeroU32>,
        },
    }
    let error = parse::<Tool>(["tool", "wait", "--times", "0"], &[]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1 or more"), "{text}");
    assert!(text.contains("Usage: tool wait"), "{text}");
    let Tool::Wait { times } = parse(["tool", "wait"], &[]).unwrap();
    assert_eq!(times, None);
}
