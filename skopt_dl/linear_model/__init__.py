from skopt_dl.linear_model.lasso import Lasso
