-- Read where slurm.conf has CliFilterPlugins=cli_filter/lua, as a mini-cluster that tests share: each test has a partition
-- of its own, which is meant by a command that names the default one, and by a job of the test's that has lost its environment.
-- https://slurm.schedmd.com/cli_filter_plugins.html
function slurm_cli_pre_submit(options, pack_offset)
  local own = os.getenv("SLURM_SIM_PARTITION") or os.getenv("SLURM_JOB_PARTITION") or ""
  local named = options["partition"]
  if own:find("^pytest%-") and (named == nil or named == "general") then
    options["partition"] = own
  end
  return slurm.SUCCESS
end

function slurm_cli_setup_defaults(options, early_pass)
  return slurm.SUCCESS
end

function slurm_cli_post_submit(pack_offset, job_id, step_id)
  return slurm.SUCCESS
end
