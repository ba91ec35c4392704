//! Options over environment over configuration, and what is no value.

use super::*;

/// Reads a configuration as if it stood in the user's file.
fn read(config: &str, pairs: &[(&str, &str)], global: &Global) -> Result<Settings, Error> {
    read_from(Source::User, config, pairs, global)
}

fn read_from(
    source: Source,
    config: &str,
    pairs: &[(&str, &str)],
    global: &Global,
) -> Result<Settings, Error> {
    let file =
        File::from_bytes_no_includes(config.as_bytes(), Metadata::from(source), init::Options::default());
    let mut pairs = pairs.to_vec();
    pairs.push(("HOME", "/home/ada"));
    Settings::read(&file.unwrap(), &Environment::of(&pairs), global)
}

#[test]
fn options_count_over_the_environment_over_the_configuration() {
    let config = "[parler]\n\thub = wss://config\n";
    let option = Global { hub: Some("wss://option".to_owned()), ..Global::default() };
    let variable = [("PARLER_HUB", "wss://variable")];
    let hub = |pairs: &[_], global: &Global| read(config, pairs, global).unwrap().hub.unwrap();
    assert_eq!(hub(&[], &Global::default()), "wss://config");
    assert_eq!(hub(&variable, &Global::default()), "wss://variable");
    assert_eq!(hub(&variable, &option), "wss://option");
}

#[test]
fn an_empty_value_takes_an_earlier_one_back() {
    let config = "[parler]\n\thub = wss://one\n[parler]\n\thub =\n";
    assert_eq!(read(config, &[], &Global::default()).unwrap().hub, None);
}

#[test]
fn a_value_of_the_wrong_kind_is_named() {
    let sentence = |config: &str| read(config, &[], &Global::default()).unwrap_err().to_string();
    assert_eq!(
        sentence("[parler]\n\tinsecure = perhaps\n"),
        "`parler.insecure` is `perhaps`, which is not a boolean"
    );
    assert_eq!(
        sentence("[parler \"import\"]\n\tmaxObjects = -1\n"),
        "`parler.import.maxObjects` is `-1`, which is not a number such as 1000, 64k, 256m or 4g"
    );
    assert_eq!(
        sentence("[color]\n\tparler = pink\n"),
        "`color.parler` is `pink`, which is not always, auto, never or a boolean"
    );
}

#[test]
fn the_surface_policy_is_warn_or_block() {
    let policy = |value: &str| {
        read(&format!("[parler \"policy\"]\n\t{value}\n"), &[], &Global::default())
            .map(|settings| settings.surface)
    };
    assert_eq!(policy("").unwrap(), SurfacePolicy::Warn);
    assert_eq!(policy("surface = warn").unwrap(), SurfacePolicy::Warn);
    assert_eq!(policy("surface = Block").unwrap(), SurfacePolicy::Block);
    for (value, shown) in [("surface = off", "off"), ("surface =", ""), ("surface", "")] {
        let expected = format!("`parler.policy.surface` is `{shown}`, which is not warn or block");
        assert_eq!(policy(value).unwrap_err().to_string(), expected);
    }
}

#[test]
fn budgets_take_the_suffixes_of_git() {
    let config = "[parler \"import\"]\n\tmaxObjectSize = 2m\n\tmaxTotalSize = 1g\n";
    let budgets = read(config, &[], &Global::default()).unwrap().import;
    assert_eq!(budgets.object_bytes, 2 << 20);
    assert_eq!(budgets.total_bytes, 1 << 30);
    assert_eq!(budgets.objects, bundle::Budgets::default().objects);
}

#[test]
fn folders_follow_parler_home_then_xdg_then_home() {
    let folders = |pairs: &[_]| {
        let settings = read("", pairs, &Global::default()).unwrap();
        [settings.data_folder, settings.cache_folder].map(|path| path.to_str().unwrap().to_owned())
    };
    assert_eq!(folders(&[]), ["/home/ada/.local/share/git-parler", "/home/ada/.cache/git-parler"]);
    assert_eq!(
        folders(&[("XDG_DATA_HOME", "/data"), ("XDG_CACHE_HOME", "relative")]),
        ["/data/git-parler", "/home/ada/.cache/git-parler"]
    );
    assert_eq!(folders(&[("PARLER_HOME", "/p"), ("XDG_DATA_HOME", "/data")]), ["/p", "/p/cache"]);
}

#[test]
fn the_pager_is_found_in_gits_order() {
    let pager = |config: &str, pairs: &[_]| read(config, pairs, &Global::default()).unwrap().pager;
    let both = "[core]\n\tpager = general\n[pager]\n\tparler = own\n";
    assert_eq!(pager("", &[]).as_deref(), Some("less"));
    assert_eq!(pager("", &[("PAGER", "more")]).as_deref(), Some("more"));
    assert_eq!(pager("[core]\n\tpager = general\n", &[("PAGER", "more")]).as_deref(), Some("general"));
    assert_eq!(pager(both, &[]).as_deref(), Some("own"));
    assert_eq!(pager(both, &[("GIT_PAGER", "git")]).as_deref(), Some("git"));
    assert_eq!(pager("[pager]\n\tparler = false\n", &[]), None);
    assert_eq!(pager("[core]\n\tpager = cat\n", &[]), None);
    assert_eq!(pager(both, &[("GIT_PAGER", "")]), None);
}

#[test]
fn a_base_may_be_configured_several_times() {
    let config = "[parler]\n\tbase = origin/main\n\tbase = origin/next\n";
    assert_eq!(read(config, &[], &Global::default()).unwrap().base, ["origin/main", "origin/next"]);
    let variable = [("PARLER_BASE", "v1")];
    assert_eq!(read(config, &variable, &Global::default()).unwrap().base, ["v1"]);
}

#[test]
fn a_path_is_one_as_git_reads_it() {
    let of = |value: &str| {
        read(&format!("[parler]\n\tcaFile = {value}\n"), &[], &Global::default()).map(|read| read.ca_file)
    };
    for (value, path) in [
        ("~/ca.pem", "/home/ada/ca.pem"),
        ("/etc/ca.pem", "/etc/ca.pem"),
        ("ca.pem", "ca.pem"),
        ("~root/ca.pem", "/root/ca.pem"),
    ] {
        assert_eq!(of(value).unwrap(), Some(PathBuf::from(path)), "{value}");
    }
    assert_eq!(of("").unwrap(), None);
    let nobody = of("~no-such-user/ca.pem").unwrap_err().to_string();
    assert_eq!(nobody, "`parler.caFile` is `~no-such-user/ca.pem`, which is not a path");
    let settings = read("[parler]\n\tjoinSecretFile = ~/secret\n", &[], &Global::default()).unwrap();
    assert_eq!(settings.join_secret_file, Some(PathBuf::from("/home/ada/secret")));
    let variable = [("PARLER_CA_FILE", "~/as it stands")];
    let settings = read("[parler]\n\tcaFile = other\n", &variable, &Global::default()).unwrap();
    assert_eq!(settings.ca_file, Some(PathBuf::from("~/as it stands")));
}

#[test]
fn a_pager_that_the_repository_configures_never_runs() {
    use gix::config::Source;
    for config in ["[core]\n\tpager = sh -c evil\n", "[pager]\n\tparler = sh -c evil\n"] {
        let pager = |source| read_from(source, config, &[], &Global::default()).unwrap().pager;
        assert_eq!(pager(Source::User).as_deref(), Some("sh -c evil"));
        assert_eq!(pager(Source::Local).as_deref(), Some("less"));
        assert_eq!(pager(Source::Worktree).as_deref(), Some("less"));
    }
}

#[test]
fn what_an_agent_may_decide_alone_stands_in_a_file() {
    let config = "[parler \"mcp\"]\n\tagentMayApprove = true\n";
    let may = |source| read_from(source, config, &[], &Global::default()).unwrap().agent_may_approve;
    for source in [Source::GitInstallation, Source::System, Source::Git, Source::User] {
        assert!(may(source), "{source:?}");
    }
    assert!(may(Source::Local) && may(Source::Worktree));
    for source in [Source::Cli, Source::Api, Source::Env, Source::EnvOverride] {
        assert!(!may(source), "{source:?}");
    }
    let wrong = "[parler \"mcp\"]\n\tagentMayApprove = perhaps\n";
    let error = read(wrong, &[], &Global::default()).unwrap_err().to_string();
    assert_eq!(error, "`parler.mcp.agentMayApprove` is `perhaps`, which is not a boolean");
    assert!(read_from(Source::Cli, wrong, &[], &Global::default()).is_ok());
}

#[test]
fn what_git_hands_over_is_none_of_the_users_files() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("gitconfig");
    // With a section of that name, into which it must not be put.
    std::fs::write(&path, "[parler \"mcp\"]\n\tsomething = else\n[parler]\n\tname = ada\n").unwrap();
    let parameters = "'parler.mcp.agentMayApprove'='true' 'parler.name'='bob'";
    let pairs = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", path.to_str().unwrap()),
        ("GIT_CONFIG_PARAMETERS", parameters),
        ("HOME", "/home/ada"),
    ];
    let environment = Environment::of(&pairs);
    let file = global_file(&environment).unwrap();
    let settings = Settings::read(&file, &environment, &Global::default()).unwrap();
    assert_eq!((settings.agent_may_approve, settings.name.as_deref()), (false, Some("bob")));
}
