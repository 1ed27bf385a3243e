#include "cpages.h"

/* An extension of the compiler until C23 is the standard here. */
#pragma clang diagnostic ignored "-Wc23-extensions"

/* Every file under `files`: .ci/tidy says when one is missing. */
static const unsigned char common_base_css[] = {
#embed "files/common/base.css"
};
static const unsigned char common_dom_js[] = {
#embed "files/common/dom.js"
};
static const unsigned char common_format_js[] = {
#embed "files/common/format.js"
};
static const unsigned char common_icon_svg[] = {
#embed "files/common/icon.svg"
};
static const unsigned char common_toast_js[] = {
#embed "files/common/toast.js"
};
static const unsigned char console_connection_js[] = {
#embed "files/console/connection.js"
};
static const unsigned char console_console_css[] = {
#embed "files/console/console.css"
};
static const unsigned char console_index_html[] = {
#embed "files/console/index.html"
};
static const unsigned char console_log_js[] = {
#embed "files/console/log.js"
};
static const unsigned char console_main_js[] = {
#embed "files/console/main.js"
};
static const unsigned char console_payload_js[] = {
#embed "files/console/payload.js"
};
static const unsigned char console_reloads_js[] = {
#embed "files/console/reloads.js"
};
static const unsigned char console_routes_js[] = {
#embed "files/console/routes.js"
};
static const unsigned char console_saved_js[] = {
#embed "files/console/saved.js"
};
static const unsigned char console_state_js[] = {
#embed "files/console/state.js"
};
static const unsigned char dashboard_actions_js[] = {
#embed "files/dashboard/actions.js"
};
static const unsigned char dashboard_chart_js[] = {
#embed "files/dashboard/chart.js"
};
static const unsigned char dashboard_dashboard_css[] = {
#embed "files/dashboard/dashboard.css"
};
static const unsigned char dashboard_feed_js[] = {
#embed "files/dashboard/feed.js"
};
static const unsigned char dashboard_index_html[] = {
#embed "files/dashboard/index.html"
};
static const unsigned char dashboard_main_js[] = {
#embed "files/dashboard/main.js"
};
static const unsigned char dashboard_panels_js[] = {
#embed "files/dashboard/panels.js"
};
static const unsigned char dashboard_routes_js[] = {
#embed "files/dashboard/routes.js"
};
static const unsigned char dashboard_samples_js[] = {
#embed "files/dashboard/samples.js"
};
static const unsigned char dashboard_session_js[] = {
#embed "files/dashboard/session.js"
};
static const unsigned char dashboard_timeline_js[] = {
#embed "files/dashboard/timeline.js"
};
static const unsigned char dashboard_traffic_js[] = {
#embed "files/dashboard/traffic.js"
};

static const struct cpages_file all[] = {
    {"common/base.css", common_base_css, sizeof common_base_css},
    {"common/dom.js", common_dom_js, sizeof common_dom_js},
    {"common/format.js", common_format_js, sizeof common_format_js},
    {"common/icon.svg", common_icon_svg, sizeof common_icon_svg},
    {"common/toast.js", common_toast_js, sizeof common_toast_js},
    {"console/connection.js", console_connection_js, sizeof console_connection_js},
    {"console/console.css", console_console_css, sizeof console_console_css},
    {"console/index.html", console_index_html, sizeof console_index_html},
    {"console/log.js", console_log_js, sizeof console_log_js},
    {"console/main.js", console_main_js, sizeof console_main_js},
    {"console/payload.js", console_payload_js, sizeof console_payload_js},
    {"console/reloads.js", console_reloads_js, sizeof console_reloads_js},
    {"console/routes.js", console_routes_js, sizeof console_routes_js},
    {"console/saved.js", console_saved_js, sizeof console_saved_js},
    {"console/state.js", console_state_js, sizeof console_state_js},
    {"dashboard/actions.js", dashboard_actions_js, sizeof dashboard_actions_js},
    {"dashboard/chart.js", dashboard_chart_js, sizeof dashboard_chart_js},
    {"dashboard/dashboard.css", dashboard_dashboard_css, sizeof dashboard_dashboard_css},
    {"dashboard/feed.js", dashboard_feed_js, sizeof dashboard_feed_js},
    {"dashboard/index.html", dashboard_index_html, sizeof dashboard_index_html},
    {"dashboard/main.js", dashboard_main_js, sizeof dashboard_main_js},
    {"dashboard/panels.js", dashboard_panels_js, sizeof dashboard_panels_js},
    {"dashboard/routes.js", dashboard_routes_js, sizeof dashboard_routes_js},
    {"dashboard/samples.js", dashboard_samples_js, sizeof dashboard_samples_js},
    {"dashboard/session.js", dashboard_session_js, sizeof dashboard_session_js},
    {"dashboard/timeline.js", dashboard_timeline_js, sizeof dashboard_timeline_js},
    {"dashboard/traffic.js", dashboard_traffic_js, sizeof dashboard_traffic_js},
};

const struct cpages_file *cpages_file(size_t number) {
    return number < sizeof all / sizeof all[0] ? &all[number] : NULL;
}
