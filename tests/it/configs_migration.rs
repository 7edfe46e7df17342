//! `docs/migration.md`: each line of a script and the configuration that says the same, side by side.

use crate::harness::{Init, needs_root};

/// How the first cell of a row begins, what the script does, and the configuration that says the same. `OUT` is where each
/// of the two writes. What both have written is compared: names, bytes, owners and modes, after two starts.
const FILES: &[(&str, &str, &str)] = &[
    (
        "`envsubst < ",
        "envsubst < app.conf.in > OUT/app.conf",
        "[configs.app]\nfile = \"app.conf.in\"\ntarget = \"OUT/app.conf\"",
    ),
    (
        "`envsubst '$PORT $HOST'",
        "envsubst '$PORT $NAME' < nginx.in > OUT/nginx",
        "[configs.app]\nfile = \"nginx.in\"\ntarget = \"OUT/nginx\"\nvars = [\"PORT\", \"NAME\"]",
    ),
    (
        "nginx's `20-envsubst",
        "cd t; for file in *.template; do envsubst '$PORT $NAME' < $file > OUT/${file%.template}; done",
        "[configs.nginx]\nfile = \"t\"\ntarget = \"OUT\"",
    ),
    (
        "`NGINX_ENVSUBST_FILTER",
        "cd t; for file in *.template; do envsubst '$PORT' < $file > OUT/${file%.template}; done",
        "[configs.nginx]\nfile = \"t\"\ntarget = \"OUT\"\nvars = [\"PORT\"]",
    ),
    (
        "`cat > ",
        "cat > OUT/app.conf <<EOF\nport $PORT\ncost \\$5\nEOF",
        "[configs.app]\ncontent = \"\"\"\nport ${PORT}\ncost $$5\n\"\"\"\ntarget = \"OUT/app.conf\"",
    ),
    (
        "`sed -i ",
        "cp sed.in OUT/app.conf; sed -i \"s/@PORT@/$PORT/\" OUT/app.conf",
        "[configs.app]\nfile = \"sed.conf\"\ntarget = \"OUT/app.conf\"",
    ),
    (
        "`echo \"key=$VALUE\" >> ",
        "test -e OUT/app.conf || echo \"key=$NAME\" >> OUT/app.conf",
        "[configs.app]\ncontent = \"key=${NAME}\\n\"\ntarget = \"OUT/app.conf\"",
    ),
    (
        "`echo \"$TLS_KEY\" > ",
        "rm -f OUT/key; printf %s \"$TLS_KEY\" > OUT/key; chmod 600 OUT/key; chown daemon OUT/key",
        "[secrets.key]\nenvironment = \"TLS_KEY\"\ntarget = \"OUT/key\"\nmode = \"0600\"\nuid = \"daemon\"",
    ),
    (
        "`cp /run/secrets/key ",
        "cp given OUT/key; chmod 400 OUT/key; chown daemon OUT/key",
        "[secrets.key]\nfile = \"given\"\ntarget = \"OUT/key\"\nuid = \"daemon\"",
    ),
    (
        "`[ -f /data/secret ] \\|\\| openssl",
        // Of what is random the length is compared.
        "printf %44s > OUT/length",
        "[secrets.secret]\ngenerate = \"base64:32\"\ntarget = \"/mnt/files/secret\"\n[services.length]\ntype = \"oneshot\"\n\
         command = [\"sh\", \"-c\", \"tr -c ' ' ' ' < /mnt/files/secret > OUT/length\"]",
    ),
    (
        "`[ -f /data/app.conf ] \\|\\| cp",
        "[ -f OUT/mine ] || cp nginx.in OUT/mine; [ -f OUT/new ] || cp nginx.in OUT/new",
        "[configs.mine]\nfile = \"nginx.in\"\nvars = []\ntarget = \"OUT/mine\"\nkeep = true\n\
         [configs.new]\nfile = \"nginx.in\"\nvars = []\ntarget = \"OUT/new\"\nkeep = true",
    ),
    (
        "`if [ -n \"$TLS\" ]",
        "if [ -n \"$TLS_KEY\" ]; then echo tls > OUT/tls; fi; if [ -z \"$TLS_KEY\" ]; then echo > OUT/plain; fi",
        "[configs.tls]\ncontent = \"tls\\n\"\ntarget = \"OUT/tls\"\nwhen_env = \"TLS_KEY\"\n\
         [configs.plain]\ncontent = \"\\n\"\ntarget = \"OUT/plain\"\nwhen_env = \"!TLS_KEY\"",
    ),
    (
        "`umask 077`",
        "umask 077; echo $PORT > OUT/app.conf",
        "[configs.app]\ncontent = \"${PORT}\\n\"\ntarget = \"OUT/app.conf\"\nmode = \"0600\"",
    ),
];

/// The first cells of a section's table.
fn rows(section: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/migration.md");
    let start = page.find(&format!("## {section}\n")).expect("the section");
    let table = page[start..].lines().skip(1).skip_while(|line| !line.starts_with("| ---"));
    let rows = table.skip(1).take_while(|line| line.starts_with("| "));
    rows.map(|line| line.trim_start_matches("| ")).collect()
}

#[test]
fn every_row_of_files_has_its_proof() {
    let (rows, proofs) = (rows("Configuration files, templates, secrets"), FILES.iter().map(|(row, ..)| row));
    assert_eq!(rows.len(), proofs.clone().count(), "{rows:#?}");
    for (row, proof) in rows.iter().zip(proofs) {
        assert!(row.starts_with(proof), "{row}\nhas the proof of {proof}");
    }
}

#[test]
fn a_line_of_a_script_and_its_configuration_write_the_same() {
    needs_root();
    let nginx = "listen ${PORT}; ${scheme}://$host$uri ${NAME} $$x\n";
    for (row, script, config) in FILES {
        let run = format!(
            "umask 022; cd /mnt/files; for dir in a b; do mkdir $dir; echo mine > $dir/mine; done
            look() {{ (cd $1; find . -type f -exec stat -c '%n %u %g %a' {{}} + -exec cksum {{}} + | sort); }}
            for start in 1 2; do
            ({}
) || exit 3; /mnt/rinit -q --config rinit.toml || exit 4; done
            look a > theirs; look b > ours; diff theirs ours && echo same && wc -l < ours",
            script.replace("OUT", "/mnt/files/a"),
        );
        let mut config = config.replace("OUT", "/mnt/files/b");
        if !config.contains("[services") {
            config.push_str("\n[services.x]\ntype = \"oneshot\"\ncommand = \"true\"\n");
        }
        let launch = Init::SHELL.launch().args(&["-c", &run]).file("rinit.toml", &config);
        let launch = launch.env("PORT", "80").env("NAME", "n.example").env("TLS_KEY", "-----\nkey & $PORT\n");
        let launch = launch.file("app.conf.in", "listen ${PORT};\nname ${NAME};\n").file("nginx.in", nginx);
        let launch = launch.file("t/a.conf.template", nginx).file("t/b.template", "${PORT}");
        let launch = launch.file("sed.in", "port @PORT@\n").file("sed.conf", "port ${PORT}\n");
        let ended = launch.file("given", "key ${PORT} $$\n").run();
        assert!(
            ended.out.starts_with("same\n") && !ended.out.ends_with("same\n0\n"),
            "{row} {}",
            ended.story()
        );
    }
}
