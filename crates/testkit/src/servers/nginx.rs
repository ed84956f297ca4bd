//! nginx with WebDAV, behind a password.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Missing, Running, program};

/// The module that knows `PROPFIND`.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so";

/// An nginx that serves a directory.
pub struct Nginx {
    /// The process.
    pub running: Running,
}

impl Nginx {
    /// Who may ask.
    pub const USER: &str = "rekindle";
    /// With which password.
    pub const PASSWORD: &str = "a-password-that-no-message-may-hold";

    /// Starts it. With `makes_paths` it makes the directories of what is put; without, the client has to.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn start(makes_paths: bool) -> Result<Self, Missing> {
        let program = program(&[], "nginx")?;
        if !Path::new(MODULE).is_file() {
            return Err(Missing(
                "nginx has no module dav-ext here; `cargo xtask test` tries to install it"
                    .to_owned(),
            ));
        }
        let running = Running::start("nginx", |port, dir| {
            fs::create_dir_all(dir.join("root")).unwrap();
            let password = format!("{}:{{PLAIN}}{}\n", Self::USER, Self::PASSWORD);
            fs::write(dir.join("users"), password).unwrap();
            let config = dir.join("nginx.conf");
            fs::write(&config, configuration(port, dir, makes_paths)).unwrap();
            let mut command = Command::new(&program);
            command
                .arg("-p")
                .arg(dir)
                .arg("-c")
                .arg(config)
                .arg("-e")
                .arg("stderr");
            command
        });
        Ok(Self { running })
    }

    /// The address, with user and password.
    #[must_use]
    pub fn address(&self) -> String {
        let port = self.running.port();
        format!(
            "webdav://{}:{}@127.0.0.1:{port}/some/place",
            Self::USER,
            Self::PASSWORD
        )
    }
}

/// One process and no master, which would outlive a kill; files as whoever runs the test.
fn configuration(port: u16, dir: &Path, makes_paths: bool) -> String {
    let dir = dir.display();
    let full = if makes_paths { "on" } else { "off" };
    format!(
        "load_module {MODULE};
daemon off;
master_process off;
pid {dir}/pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {dir}/root;
        client_max_body_size 0;
        location / {{
            auth_basic rekindle;
            auth_basic_user_file {dir}/users;
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND OPTIONS;
            create_full_put_path {full};
        }}
    }}
}}
"
    )
}
